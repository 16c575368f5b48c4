"""An application that uses a client, and forks while other threads or tasks of it are in the middle of calls.

``application.py`` reads one JSON object from standard input: ``facade`` (``sync`` or ``async``), ``ending`` (how the
children end), ``children``, ``calls`` (of each child), ``hammers`` (how many threads or tasks of the parent make calls
meanwhile), ``settings`` (of the client), and optionally ``queries`` (whether calls search instead of list), and
``embedder`` and ``reranker`` (arguments of an object of that kind that the application makes itself). It prints a JSON
object: how many calls gave what, and the children's exit codes.
"""

from __future__ import annotations

import asyncio
import collections
import gc
import json
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from openmem import AsyncMemory, Memory
from openmem.embedders.openai import OpenAIEmbedder
from openmem.ports import run_blocking
from openmem.rerankers.cohere import CohereReranker

USERS = tuple(f"user{number}-{os.getpid()}" for number in range(8))

Tally: TypeAlias = collections.Counter[str]
ListOf: TypeAlias = Callable[[str], Awaitable[list[str]]]


def main() -> None:
    """Do as standard input says."""
    plan = json.load(sys.stdin)
    run = {"sync": run_threads, "async": run_tasks}[plan["facade"]]
    run(plan)


def own_parts(plan: dict[str, Any]) -> dict[str, Any]:
    """The client's arguments that are objects of the application's, which closes them itself."""
    made: dict[str, Any] = {}
    if "embedder" in plan:
        made["embedder"] = OpenAIEmbedder(**plan["embedder"])
    if "reranker" in plan:
        made["reranker"] = CohereReranker(**plan["reranker"])
    return made


def secret_of(user: str) -> str:
    """The one memory of a user."""
    return f"secret of {user}"


async def call(list_of: ListOf, user: str, tally: Tally) -> None:
    """One call, counted by what it gave."""
    try:
        contents = await list_of(user)
    except Exception as error:  # noqa: BLE001 - counted
        tally[f"{type(error).__name__}: {error}"] += 1
    else:
        tally["own" if contents == [secret_of(user)] else f"instead of {user}'s: {contents}"] += 1


class Children:
    """The children, what they report, and how they end."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._pids: list[int] = []
        self._reports: list[int] = []
        self._exits: list[int] = []
        self._tally = Tally()

    def fork(self, work: Callable[[Tally, str], None]) -> bool:
        """Fork once. In the child work, report, and tell whether it is to end as programs do; never in the parent."""
        read, write = os.pipe()
        user = USERS[len(self._pids) % len(USERS)]
        child = os.fork()
        if child:
            os.close(write)
            self._pids.append(child)
            self._reports.append(read)
            return False
        tally = Tally()
        work(tally, user)
        os.write(write, json.dumps(tally).encode())
        if self._plan["ending"] == "at once":
            os._exit(0)
        gc.collect()
        return True

    def wait(self) -> None:
        """Wait until all have ended."""
        if not self._exits:
            for report in self._reports:
                with open(report, "rb") as pipe:
                    self._tally.update(json.loads(pipe.read() or '{"no report": 1}'))
            self._exits = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in self._pids]

    def finished(self) -> tuple[Tally, list[int]]:
        """What all children reported, and their exit codes."""
        self.wait()
        return self._tally, self._exits


def report(children: tuple[Tally, list[int]], parent: Tally) -> None:
    """Print what happened."""
    print(json.dumps({"children": children[0], "exits": children[1], "parent": parent}))


def run_threads(plan: dict[str, Any]) -> None:
    """A `Memory`, used by threads."""
    parts = own_parts(plan)
    memory = Memory(**plan["settings"], **parts)

    async def list_of(user: str) -> list[str]:
        if plan.get("queries"):
            return [result.memory.content for result in memory.search("secret", user)]
        return [record.content for record in memory.list(user).items]

    for user in USERS:
        memory.add(content=secret_of(user), user_id=user)
    stop, parent = threading.Event(), Tally()

    def hammer(user: str) -> None:
        while not stop.is_set():
            run_blocking(call(list_of, user, parent))
            time.sleep(0.001)

    def work(tally: Tally, user: str) -> None:
        for _ in range(plan["calls"]):
            run_blocking(call(list_of, user, tally))
        if plan["ending"] == "close":
            memory.close()

    threads = [threading.Thread(target=hammer, args=(user,)) for user in USERS[: plan["hammers"]]]
    for thread in threads:
        thread.start()
    children = Children(plan)
    for _ in range(plan["children"]):
        if children.fork(work):
            return
    finished = children.finished()
    stop.set()
    for thread in threads:
        thread.join()
    for user in USERS:
        run_blocking(call(list_of, user, parent))
    report(finished, parent)
    memory.close()
    for part in parts.values():
        part.close()


def run_tasks(plan: dict[str, Any]) -> None:
    """An `AsyncMemory`, used by tasks, one of which forks."""
    parts = own_parts(plan)
    memory = AsyncMemory(**plan["settings"], **parts)

    async def list_of(user: str) -> list[str]:
        if plan.get("queries"):
            return [result.memory.content for result in await memory.search("secret", user)]
        return [record.content for record in (await memory.list(user)).items]

    async def many(tally: Tally, user: str, calls: int) -> None:
        for _ in range(calls):
            await call(list_of, user, tally)

    def work(tally: Tally, user: str) -> None:
        async def both() -> None:
            async with asyncio.TaskGroup() as group:
                for calls in (plan["calls"] // 2, plan["calls"] - plan["calls"] // 2):
                    group.create_task(many(tally, user, calls))
            if plan["ending"] == "close":
                await memory.close()

        asyncio.run(both())

    children = Children(plan)
    parent, stop = Tally(), asyncio.Event()

    async def hammer(user: str) -> None:
        while not stop.is_set():
            await call(list_of, user, parent)

    async def begin() -> None:
        for user in USERS:
            await memory.add(content=secret_of(user), user_id=user)

    async def fork_in_the_middle_of_calls() -> None:
        async with asyncio.TaskGroup() as group:
            for user in USERS[: plan["hammers"]]:
                group.create_task(hammer(user))
            for _ in range(plan["children"]):
                await asyncio.sleep(0.02)
                children.fork(work)
            await asyncio.to_thread(children.wait)
            stop.set()

    async def end() -> None:
        for user in USERS:
            await call(list_of, user, parent)
        await memory.close()
        for part in parts.values():
            await part.aclose()

    # Closed by the parent only: what wakes the loop is shared through the kernel, and a child would take it away.
    runner = asyncio.Runner()
    runner.run(begin())
    if plan["ending"] == "at once":
        runner.run(fork_in_the_middle_of_calls())
    else:
        for _ in range(plan["children"]):
            if children.fork(work):
                return
    finished = children.finished()
    runner.run(end())
    runner.close()
    report(finished, parent)


if __name__ == "__main__":
    main()
