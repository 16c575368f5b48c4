"""One comparison: opens the systems, makes the measurements in their order, and puts the result together."""

from __future__ import annotations

import asyncio
import gc
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path
from typing import Final

import psutil
from rich.progress import Progress

from . import database, measures
from .datasets import SYNTHETIC, Data
from .measures import Advance, Arguments, Peers
from .peers import FLOOR, SYSTEMS
from .results import Cancellation, Latency, Machine, Rate, Result, Retrieval, Stall

TASKS: Final = 32
SIZES: Final = (100, 600, 2_000, 10_000, 50_000)
QUICK_SIZES: Final = (100, 600, 2_000)
BIG: Final = 50_000  # the searches of such a user take long enough for a quarter of them
MEASUREMENTS: Final = ("recall", "throughput", "stall", "cancellation", "sizes")


@dataclass(frozen=True)
class Scale:
    """How much is measured. `users` is how many of the data's users take part."""

    sizes: Sequence[int]
    users: int
    searches: int
    searches_per_size: int
    rounds: int
    calls_per_round: int
    stall_calls: int
    stall_rounds: int
    cancellations: int


FULL: Final = Scale(SIZES, 1_000, 1_000, 200, 5, 600, 200, 5, 5)
QUICK: Final = Scale(QUICK_SIZES, 1, 200, 60, 3, 100, 60, 3, 1)


class Run:
    """One comparison: its systems are open, and its measurements are made one after the other."""

    def __init__(self, data: Data, scale: Scale, peers: Peers, urls: Mapping[str, str], progress: Progress) -> None:
        self._data = data
        self._scale = scale
        self._peers = peers
        self._suspending = {name: peer for name, peer in peers.items() if not peer.blocking}
        self._urls = urls
        self._progress = progress
        self._questions = [(question.text, question.user) for question in data.questions]
        self._ids: measures.Ids = {}

    @contextmanager
    def _step(self, title: str, total: int) -> Iterator[Advance]:
        gc.collect()
        began = time.monotonic()
        task = self._progress.add_task(title, total=total)
        yield lambda count: self._progress.advance(task, count)
        self._progress.stop_task(task)
        if not self._progress.console.is_terminal:
            self._progress.console.print(f"{title}: {time.monotonic() - began:.0f} s")

    async def add(self) -> dict[str, Latency]:
        memories = self._data.memories
        with self._step("Adding one by one", len(memories) * len(self._peers)) as advance:
            found, self._ids = await measures.adds(self._peers, memories, advance)
        for name, peer in self._peers.items():
            async with database.connected(self._urls[name]) as connection:
                await database.vacuum(connection, peer)
        return found

    async def search(self) -> dict[str, Latency]:
        calls = self._asked(self._scale.searches)
        with self._step("Searching one by one", len(calls) * len(self._peers)) as advance:
            return await measures.searches(self._peers, calls, advance)

    async def retrieval(self, title: str) -> dict[str, Retrieval]:
        questions = self._data.answerable
        with self._step(title, len(questions) * len(self._peers)) as advance:
            return await measures.retrieval(self._peers, self._ids, questions, advance)

    async def throughput(self) -> dict[str, dict[str, Rate]]:
        rounds, count = self._scale.rounds, self._scale.calls_per_round
        with self._step(f"{TASKS} at a time", 2 * rounds * len(self._peers)) as advance:
            return {
                "add": await measures.rates(
                    self._peers, "add", lambda number: self._written(f"writer-{number}", count), TASKS, rounds, advance
                ),
                "search": await measures.rates(
                    self._peers, "search", lambda _: self._asked(count), TASKS, rounds, advance
                ),
            }

    async def stall(self) -> tuple[Stall, dict[str, dict[str, Stall]]]:
        rounds, count = self._scale.stall_rounds, self._scale.stall_calls
        found: dict[str, dict[str, Stall]] = {}
        with self._step("Watching the event loop", 1 + 4 * len(self._suspending)) as advance:
            alone = await measures.stall(lambda: asyncio.sleep(0.3), rounds)
            advance(1)
            for verb, calls in (("add", self._written("watched", count)), ("search", self._asked(count))):
                for tasks in (1, TASKS):
                    stalls = found[f"{verb}, {tasks} at a time"] = {}
                    for name, peer in self._suspending.items():
                        work = partial(measures.concurrently, peer, getattr(peer, verb), calls, tasks)
                        stalls[name] = await measures.stall(work, rounds)
                        advance(1)
        return alone, found

    async def cancellation(self) -> dict[str, Cancellation]:
        found: dict[str, Cancellation] = {}
        with self._step("Cancelling", len(self._suspending)) as advance:
            for name, peer in self._suspending.items():
                found[name] = await measures.cancellation(
                    peer, self._urls[name], self._asked(measures.AT_ONCE), self._scale.cancellations
                )
                advance(1)
        return found

    async def fill(self) -> None:
        """Give every system a user of each size."""
        users = {_sized(size): size for size in self._scale.sizes}
        with self._step("Loading in bulk", sum(users.values()) * len(self._peers)) as advance:
            await database.fill(self._peers, self._urls, self._data, users, advance)

    async def stored(self) -> int:
        """How many memories a system holds; all hold the same number, but for some from warming up."""
        async with database.connected(self._urls[FLOOR]) as connection:
            count: int = await connection.fetchval("SELECT count(*) FROM floor")
            return count

    async def sizes(self) -> dict[int, dict[str, Latency]]:
        count = self._scale.searches_per_size
        calls = {
            size: [(query, _sized(size)) for query, _ in self._asked(count if size < BIG else count // 4)]
            for size in self._scale.sizes
        }
        with self._step("Searching by size", sum(map(len, calls.values())) * len(self._peers)) as advance:
            return {size: await measures.searches(self._peers, calls[size], advance) for size in calls}

    def _asked(self, count: int) -> list[Arguments]:
        return list(islice(cycle(self._questions), count))

    def _written(self, user: str, count: int) -> list[Arguments]:
        return [(text, user) for text in self._data.texts(user, count)]


def _sized(size: int) -> str:
    return f"user-of-{size:06}"


async def run(
    url: str, data: Data, scale: Scale, systems: Sequence[str], measured: Sequence[str], progress: Progress
) -> Result:
    """Measure the systems on the server at `url`."""
    began, load_before = time.monotonic(), os.getloadavg()[0]
    date = datetime.now(UTC).isoformat(timespec="seconds")
    async with AsyncExitStack() as stack:
        urls = {name: await database.create(url, f"benchmark_{name}_{time.time_ns():x}") for name in systems}
        peers = {name: await stack.enter_async_context(SYSTEMS[name].open(urls[name])) for name in systems}
        ready = Run(data, scale, peers, urls, progress)
        add = await ready.add()
        search = await ready.search()
        small = await ready.retrieval("Asking the questions") if "recall" in measured else {}
        throughput = await ready.throughput() if "throughput" in measured else {}
        alone, stalls = await ready.stall() if "stall" in measured else (None, {})
        cancellation = await ready.cancellation() if "cancellation" in measured else {}
        sizes: dict[int, dict[str, Latency]] = {}
        in_store: dict[str, Retrieval] = {}
        if "sizes" in measured:
            await ready.fill()
            sizes = await ready.sizes()
            in_store = await ready.retrieval("Asking again in the full store") if "recall" in measured else {}
        store = await ready.stored()
        async with database.connected(urls[FLOOR]) as connection:
            server = await database.settings(connection)
    return Result(
        date=date,
        seconds=round(time.monotonic() - began),
        quick=scale.searches < FULL.searches,
        machine=machine(load_before),
        server=server,
        versions={package: version(package) for name in systems for package in SYSTEMS[name].packages},
        systems=list(systems),
        data=data.name,
        synthetic=data.name == SYNTHETIC,
        memories=len(data.memories),
        users=len({memory.user for memory in data.memories}),
        tasks=TASKS,
        add=add,
        search=search,
        throughput=throughput,
        retrieval=small,
        store=store,
        retrieval_in_store=in_store,
        sizes=sizes,
        stall_alone=alone,
        stalls=stalls,
        cancellation=cancellation,
    )


def machine(load_before: float) -> Machine:
    """This machine, without its name."""
    return Machine(
        system=f"{platform.system()} {platform.machine()}",
        processor=_processor(),
        cores=psutil.cpu_count() or 0,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        python=platform.python_version(),
        load_before=round(load_before, 2),
    )


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
