"""Calls that do not come to an end by themselves: a backend that is slow or away, and hosts that give up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
from mcp import Client, MCPError

from openmem import AsyncMemory
from openmem.mcp import server as mcp_server
from openmem.server import OmpServerConfig

from ..faults.harness import STOP_BOUND, USER, Database, until
from ..server.harness import running
from ..servers import Server, free_port
from .hosts import MODES, Mode, answer, in_process, over_http, refusal, text_of

TRANSPORTS = ("in process", "http")


@pytest.fixture(scope="module")
def db(server: Server) -> Iterator[Database]:
    """A database whose tables can be locked."""
    view = Database(server.create_database())
    yield view
    view.close()


@asynccontextmanager
async def host(url: str, transport: str, mode: Mode) -> AsyncIterator[Client]:
    """A host of a server over a database."""
    if transport == "http":
        config = OmpServerConfig(settings={"url": url, "embedder": "hashing", "pool_max_size": 2}, mcp=True)
        with running(config) as server:
            async with over_http(server.url, {"X-User-Id": USER}, mode=mode) as client:
                yield client
    else:
        async with (
            AsyncMemory(url=url, embedder="hashing", pool_max_size=2) as memory,
            in_process(memory, USER, mode=mode) as client,
        ):
            yield client


@pytest.mark.parametrize(("transport", "mode"), [("in process", "legacy"), ("in process", "auto"), ("http", "auto")])
def test_a_host_that_gives_up_ends_the_query(db: Database, transport: str, mode: Mode) -> None:
    async def main() -> None:
        async with host(db.url, transport, mode) as client:
            await answer(client, "add_memory", content="tea in the morning")
            with db.locked():
                async with anyio.create_task_group() as calls:
                    calls.start_soon(client.call_tool, "search_memories", {"query": "tea"})
                    await until(lambda: db.waiting() == 1, within=10)
                    calls.cancel_scope.cancel()
                await until(lambda: not db.running(), within=5 * STOP_BOUND)
            assert (await answer(client, "search_memories", query="tea"))["memories"]

    asyncio.run(main())


def test_the_query_ends_with_the_connection_of_an_older_host(db: Database) -> None:
    """Such hosts say in a request of its own that they give up, which no server keeps anything for."""
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "search_memories", "arguments": {"query": "tea"}},
    }
    accept = {"Accept": "application/json, text/event-stream", "X-User-Id": USER}

    async def main() -> None:
        config = OmpServerConfig(settings={"url": db.url, "embedder": "hashing"}, mcp=True)
        with running(config) as server, db.locked():
            async with httpx.AsyncClient(base_url=server.url, headers=accept, timeout=30, trust_env=False) as client:
                posted = asyncio.create_task(client.post("/mcp", json=call))
                await until(lambda: db.waiting() == 1, within=10)
                posted.cancel()
                await until(lambda: not db.running(), within=5 * STOP_BOUND)

    asyncio.run(main())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("tool", "arguments", "sentence"),
    [
        ("search_memories", {"query": "tea"}, "the memory did not answer within 0.2 s"),
        (
            "add_memory",
            {"content": "tea"},
            "the memory did not answer within 0.2 s; "
            "it may have been written all the same, so look before trying again",
        ),
    ],
)
def test_a_slow_backend_is_a_sentence(
    db: Database, mode: Mode, tool: str, arguments: Mapping[str, str], sentence: str
) -> None:
    async def main() -> None:
        async with (
            AsyncMemory(url=db.url, embedder="hashing") as memory,
            in_process(memory, USER, mode=mode, call_seconds=0.2) as client,
        ):
            with db.locked():
                assert await refusal(client, tool, arguments) == sentence
                with pytest.raises(MCPError, match="did not answer"):
                    await client.read_resource("memory://recent")
            await until(lambda: not db.running(), within=5 * STOP_BOUND)
            assert not (await client.call_tool("list_memories", {})).is_error

    asyncio.run(main())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_backend_that_is_away_is_a_sentence(mode: Mode, transport: str) -> None:
    url = f"postgresql://somebody:secret@127.0.0.1:{free_port()}/store"

    async def main() -> None:
        if transport == "http":
            config = OmpServerConfig(settings={"url": url, "embedder": "hashing"}, mcp=True)
            with running(config) as server:
                async with over_http(server.url, {"X-User-Id": "maya"}, mode=mode) as client:
                    assert len((await client.list_tools()).tools) == 7
                    sentence = await refusal(client, "search_memories", {"query": "tea"})
                    assert sentence == "the backend is not available; try again later"
        else:
            memory = AsyncMemory(url=url, embedder="hashing")
            async with in_process(memory, mode=mode) as client:
                sentence = await refusal(client, "search_memories", {"query": "tea"})
                assert "secret" not in sentence
                assert "\n" not in sentence
            await memory.close()

    asyncio.run(main())


@pytest.mark.parametrize(("transport", "mode"), [("in process", "legacy"), ("in process", "auto"), ("http", "auto")])
def test_a_host_is_told_that_a_call_goes_on(
    db: Database, transport: str, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_server, "PROGRESS_SECONDS", 0.01)

    async def main() -> None:
        told = asyncio.Event()

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            assert (total, message) == (None, "the memory is being asked")
            if progress >= 2:
                told.set()

        async with host(db.url, transport, mode) as client:
            with db.locked():
                call = asyncio.create_task(
                    client.call_tool("search_memories", {"query": "tea"}, progress_callback=on_progress)
                )
                await asyncio.wait_for(told.wait(), 20)
            assert "tea" in text_of(await call)

    asyncio.run(main())
