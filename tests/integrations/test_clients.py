"""Clients for every loop and thread: nothing is lost, and nothing stays open."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from openmem import AsyncMemory, InvalidRequestError, Memory, ProviderError
from openmem.integrations import MemoryClients, runner_of
from openmem.integrations.agents import AgentMemory
from openmem.operations import Add, Count, Search

from ..proxy import Proxy
from ..servers import Server, free_port
from .conftest import Interruption

USER = "maya"
SHORT_LOOPS = 25 * int(os.environ.get("OPENMEM_TEST_MORE", "1"))
CLOSED = r"^MemoryClients is closed$"


def fact(number: int) -> Add:
    return Add(content=f"fact number {number}", user_id=USER)


def run_without_farewell(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What many libraries do with a coroutine: a loop that is closed without `shutdown_asyncgens`."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


def test_each_loop_has_a_client_of_its_own(own_settings: dict[str, Any]) -> None:
    clients = MemoryClients(**own_settings)
    seen: list[AsyncMemory] = []

    async def main() -> None:
        seen.append(clients.current())
        assert clients.current() is seen[-1]
        await clients.current().count(USER)

    for _ in range(2):
        asyncio.run(main())
    assert seen[0] is not seen[1]
    assert clients.blocking() is clients.blocking()
    clients.close()


@pytest.mark.parametrize("ended", [asyncio.run, run_without_farewell])
def test_many_short_loops_lose_nothing_and_leave_nothing_open(
    own_settings: dict[str, Any], no_connections: Callable[[], None], ended: Callable[[Coroutine[Any, Any, Any]], Any]
) -> None:
    clients = MemoryClients(**own_settings)
    threads = threading.active_count()
    for number in range(SHORT_LOOPS):
        ended(clients.arun(fact(number)))
    gc.collect()
    no_connections()
    assert threading.active_count() == threads
    assert clients.run(Count(user_id=USER)) == SHORT_LOOPS
    clients.close()
    no_connections()


def test_threads_with_loops_and_threads_without_lose_nothing(
    own_settings: dict[str, Any], no_connections: Callable[[], None]
) -> None:
    def write(number: int) -> None:
        if number % 3 == 0:
            clients.run(fact(number))
        elif number % 3 == 1:
            asyncio.run(clients.arun(fact(number)))
        else:
            run_without_farewell(clients.arun(fact(number)))

    with MemoryClients(**own_settings) as clients:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(45)))
        assert clients.run(Count(user_id=USER)) == 45
    no_connections()


def test_tasks_of_one_loop_share_its_client(own_settings: dict[str, Any], no_connections: Callable[[], None]) -> None:
    async def main() -> None:
        async with MemoryClients(**own_settings, pool_max_size=3) as clients:
            await asyncio.gather(*(clients.arun(fact(number)) for number in range(40)))
            assert await clients.current().count(USER) == 40
            usage = clients.current().client.pool_usage()
            assert usage is not None
            assert sum(usage) <= 3

    asyncio.run(main())
    no_connections()


def test_a_loop_that_is_used_again_goes_on(own_settings: dict[str, Any], no_connections: Callable[[], None]) -> None:
    clients = MemoryClients(**own_settings)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(clients.arun(fact(1)))
    loop.run_until_complete(clients.arun(fact(2)))
    clients.close()
    no_connections()
    with pytest.raises(RuntimeError, match=CLOSED):
        loop.run_until_complete(clients.arun(fact(3)))
    loop.close()


@pytest.mark.filterwarnings("ignore:asynchronous generator .* was scheduled after loop:ResourceWarning")
def test_a_loop_whose_generators_are_shut_down_after_each_call_goes_on(
    own_settings: dict[str, Any], no_connections: Callable[[], None]
) -> None:
    # As `Runner.run_sync` of the OpenAI Agents SDK does, which uses the loop again.
    with closing(asyncio.new_event_loop()) as loop, MemoryClients(**own_settings) as clients:

        async def talk(number: int) -> int:
            await clients.current().add(content=f"number {number}", user_id="maya")
            return len(await clients.current().search("number", "maya"))

        for number in range(1, 6):
            assert loop.run_until_complete(talk(number)) == number
            loop.run_until_complete(loop.shutdown_asyncgens())
    no_connections()


@pytest.mark.filterwarnings("ignore:asynchronous generator .* was scheduled after loop:ResourceWarning")
def test_an_async_client_outlives_a_shutdown_of_its_loops_generators(
    own_settings: dict[str, Any], no_connections: Callable[[], None]
) -> None:
    client = AsyncMemory(**own_settings)
    with closing(asyncio.new_event_loop()) as loop:
        for number in range(1, 4):
            loop.run_until_complete(client.add(content=f"number {number}", user_id="maya"))
            assert loop.run_until_complete(client.count("maya")) == number
            loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(client.close())
    no_connections()


def test_closing_reaches_loops_in_other_threads(
    own_settings: dict[str, Any], no_connections: Callable[[], None]
) -> None:
    clients = MemoryClients(**own_settings)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(clients.arun(fact(1)), loop).result()
    clients.run(fact(2))
    clients.close()
    no_connections()
    clients.close()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.mark.parametrize("way", ["close", "aclose"])
def test_closing_on_a_running_loop(own_settings: dict[str, Any], no_connections: Callable[[], None], way: str) -> None:
    async def main() -> None:
        clients = MemoryClients(**own_settings)
        await clients.arun(fact(1))
        clients.run(fact(2))
        if way == "close":
            clients.close()
        else:
            await clients.aclose()
            await asyncio.to_thread(no_connections)
        for _ in range(2):
            with pytest.raises(RuntimeError, match=CLOSED):
                clients.current()
        with pytest.raises(RuntimeError, match=r"^Memory is closed$"):
            clients.run(fact(3))

    asyncio.run(main())
    no_connections()


def test_a_loop_that_ends_in_the_middle_of_a_call(
    own_settings: dict[str, Any], no_connections: Callable[[], None]
) -> None:
    clients = MemoryClients(**own_settings)

    async def main() -> None:
        await clients.arun(fact(0))
        background = [asyncio.create_task(clients.arun(fact(number))) for number in range(1, 10)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in background)

    for _ in range(5):
        asyncio.run(main())
    no_connections()
    clients.close()


def test_a_call_can_be_cancelled_while_the_network_is_stuck(server: Server, database: str) -> None:
    async def main(port: int, proxy: Proxy) -> None:
        url = server.url(database.rpartition("/")[2], port=port)
        async with MemoryClients(url=url, embedder="hashing") as clients:
            await clients.arun(fact(1))
            proxy.freeze()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await clients.arun(Count(user_id=USER))
            proxy.thaw()
            assert await clients.arun(Count(user_id=USER)) == 1

    with Proxy(server.port) as proxy:
        asyncio.run(main(proxy.port, proxy))


def test_a_backend_that_is_down_is_told_in_both_modes() -> None:
    with MemoryClients(url=f"postgresql://127.0.0.1:{free_port()}/omp", embedder="hashing") as clients:
        with pytest.raises(ProviderError):
            clients.run(fact(1))
        for _ in range(2):
            with pytest.raises(ProviderError):
                asyncio.run(clients.arun(fact(1)))


def test_wrong_settings_are_refused_at_once() -> None:
    with pytest.raises(InvalidRequestError, match="pool_max_size"):
        MemoryClients(url="postgresql://localhost/omp", pool_max_size=0)


def test_neither_repr_nor_errors_have_the_settings() -> None:
    clients = MemoryClients(url="postgresql://maya:secret@localhost/omp")
    assert repr(clients) == "<MemoryClients, provider 'postgres'>"
    clients.close()
    assert repr(clients) == "<MemoryClients, provider 'postgres', closed>"


def test_memories_in_the_process_are_the_same_for_every_loop() -> None:
    with MemoryClients("memory") as clients:
        asyncio.run(clients.arun(fact(1)))
        asyncio.run(clients.arun(fact(2)))
        clients.run(fact(3))
        assert clients.run(Count(user_id=USER)) == 3
        hits = asyncio.run(clients.arun(Search(query="fact number 2", user_id=USER, limit=1)))
        assert [hit.memory.content for hit in hits] == ["fact number 2"]


def test_a_blocking_client_that_is_given_serves_every_loop_and_stays_open(own_settings: dict[str, Any]) -> None:
    with Memory(**own_settings) as memory:
        runner = runner_of(memory)
        runner.run(fact(1))
        for number in (2, 3):
            asyncio.run(runner.arun(fact(number)))
        runner.close()
        asyncio.run(runner.aclose())
        assert memory.count(USER) == 3


def test_an_async_client_that_is_given_serves_others_through_its_own_loop(own_settings: dict[str, Any]) -> None:
    async def main() -> None:
        async with AsyncMemory(**own_settings) as memory:
            runner = runner_of(memory)
            await runner.arun(fact(1))
            await asyncio.to_thread(runner.run, fact(2))
            await asyncio.to_thread(lambda: asyncio.run(runner.arun(fact(3))))
            with pytest.raises(RuntimeError, match="MemoryClients"):
                runner.run(fact(4))
            await runner.aclose()
            assert await memory.count(USER) == 3

    asyncio.run(main())


def test_an_async_client_whose_loop_has_ended_says_so(own_settings: dict[str, Any]) -> None:
    memory = AsyncMemory(**own_settings)
    runner = runner_of(memory)
    asyncio.run(runner.arun(fact(1)))
    with pytest.raises(RuntimeError, match="bound to a different event loop"):
        asyncio.run(runner.arun(fact(2)))
    with pytest.raises(RuntimeError, match="pass a Memory"):
        runner.run(fact(3))


def test_clients_that_are_given_are_used_by_all(own_settings: dict[str, Any]) -> None:
    with MemoryClients(**own_settings) as clients:
        assert runner_of(clients) is clients


def test_anything_else_is_refused() -> None:
    with pytest.raises(TypeError, match="a str is no client; pass a Memory"):
        runner_of("postgresql://localhost/omp")  # type: ignore[arg-type]


FORKS = """
import asyncio, os, sys
from openmem.integrations import MemoryClients
from openmem.operations import Add, Count

clients = MemoryClients(url=sys.argv[1], embedder="hashing")
add = lambda name: Add(content=f"fact of {name}", user_id="maya")
clients.run(add("the parent"))
asyncio.run(clients.arun(add("the parent's loop")))

def child(number):
    asyncio.run(clients.arun(add(f"child {number}")))
    clients.run(add(f"thread of child {number}"))

async def main():
    await clients.arun(add("the loop that runs"))
    children = []
    for number in range(4):
        pid = os.fork()
        if pid == 0:
            asyncio._set_running_loop(None)
            asyncio.set_event_loop(None)
            child(number)
            clients.close()
            os._exit(0)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
    assert await clients.arun(Count(user_id="maya")) == 3 + 8

asyncio.run(main())
pid = os.fork()
if pid == 0:
    child(9)
    sys.exit()
assert os.waitpid(pid, 0)[1] == 0
assert clients.run(Count(user_id="maya")) == 3 + 10
print("done")
"""

FORGOTTEN = """
import asyncio, sys
from openmem.integrations import MemoryClients
from openmem.operations import Add

clients = MemoryClients(url=sys.argv[1], embedder="hashing")
clients.run(Add(content="a fact", user_id="maya"))
asyncio.run(clients.arun(Add(content="another fact", user_id="maya")))
loop = asyncio.new_event_loop()
loop.run_until_complete(clients.arun(Add(content="one more", user_id="maya")))
if sys.argv[2] == "closed":
    loop.close()
print("done")
"""


def run(script: str, *arguments: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning", "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (finished.stdout, finished.stderr, finished.returncode) == ("done\n", "", 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_children_have_clients_of_their_own(database: str) -> None:
    run(FORKS, database)


def test_copies_of_an_agent_share_its_clients_and_pickles_say_why_not(own_settings: dict[str, Any]) -> None:
    with MemoryClients(**own_settings) as clients:
        assert copy.deepcopy({"client": clients})["client"] is clients
        with pytest.raises(TypeError, match="MemoryClients holds connections and cannot be pickled; make one in each"):
            pickle.dumps(clients)


@pytest.mark.parametrize("kind", [Memory, AsyncMemory])
def test_copies_of_an_agent_share_a_single_client_and_pickles_say_why_not(
    own_settings: dict[str, Any], kind: type[Memory | AsyncMemory]
) -> None:
    client = kind(**own_settings)
    agent: dict[str, Any] = {
        "client": client,
        "memory": AgentMemory.of(client, scope=None, app="a", token_budget=9, on_error="warn"),
    }
    assert copy.copy(client) is client

    async def main() -> None:
        copied = copy.deepcopy(agent)
        assert copied["client"] is client
        await copied["memory"].runner.arun(fact(1))
        assert await agent["memory"].runner.arun(Count(user_id=USER)) == 1
        closed = client.close()
        if closed is not None:
            await closed

    asyncio.run(main())
    with pytest.raises(TypeError, match=f"{kind.__name__} holds connections and cannot be pickled; make one in each"):
        pickle.dumps(agent)


def test_a_backend_that_goes_away_in_the_middle_and_comes_back(
    interrupted: Interruption, caplog: pytest.LogCaptureFixture
) -> None:
    memory = AgentMemory.of(interrupted.clients, scope=None, app="agent", token_budget=500, on_error="warn")

    async def main() -> None:
        await interrupted.clients.arun(fact(1))
        assert "fact number 1" in await memory.arecollect("fact", USER)
        interrupted.proxy.refuse()
        interrupted.proxy.cut()
        with caplog.at_level("WARNING"):
            assert await memory.arecollect("fact", USER) == ""
            assert await asyncio.to_thread(memory.recollect, "fact", USER) == ""
        with pytest.raises(ProviderError):
            await memory.aperform(lambda: memory.remember(USER, "lost"))
        interrupted.proxy.accept()
        assert "fact number 1" in await memory.arecollect("fact", USER)
        assert "fact number 1" in await asyncio.to_thread(memory.recollect, "fact", USER)
        assert await interrupted.clients.arun(Count(user_id=USER)) == 1

    asyncio.run(main())
    said = [record.getMessage() for record in caplog.records if record.name == "openmem"]
    assert [message.startswith("reading the context failed") for message in said].count(True) == 2


def test_a_program_that_closes_nothing_ends_without_a_word(database: str, no_connections: Callable[[], None]) -> None:
    run(FORGOTTEN, database, "closed")
    no_connections()
