"""Fixtures of the integrations' tests."""

from __future__ import annotations

import asyncio
import gc
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from openmem.integrations import MemoryClients

from ..proxy import Proxy
from ..servers import Server, free_port

CANCEL_SECONDS = 0.05
"""Within which a cancelled call ends, whatever the network does."""
TRIES = 3
"""The quickest of so many counts, since the processors are others' at times."""


@dataclass(frozen=True)
class Interruption:
    """Runs that are cancelled while the network to the server of their memories is stuck.

    Attributes:
        clients: what the runs have their memories from.
        proxy: between the clients and the server.
    """

    clients: MemoryClients
    proxy: Proxy

    async def __call__(self, run: Callable[[], Awaitable[Any]]) -> None:
        """Cancel a run once it waits for the server. It must end at once, and leave no task and a client that works."""
        took = [await self._once(run) for _ in range(TRIES)]
        assert min(took) < CANCEL_SECONDS, took

    async def _once(self, run: Callable[[], Awaitable[Any]]) -> float:
        loop = asyncio.get_running_loop()
        await self.clients.current().count("nobody")
        tasks = asyncio.all_tasks()

        async def running() -> None:
            await run()

        self.proxy.freeze()
        try:
            asked = self.proxy.requests
            task = loop.create_task(running())
            while self.proxy.requests == asked:
                assert not task.done(), task
                await asyncio.sleep(0)
            began = loop.time()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            took = loop.time() - began
        finally:
            self.proxy.thaw()
        async with asyncio.timeout(5):
            while left := asyncio.all_tasks() - tasks:
                await asyncio.wait(left)
        await self.clients.current().count("nobody")
        return took


@pytest.fixture(autouse=True)
def no_leaks(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Make what a test left open complain during that test, and whatever asyncio complains of fail it."""
    gc.freeze()  # Collections look at what the test makes, and not at the frameworks, which takes a second each time.
    yield
    gc.collect()
    gc.unfreeze()
    said = [record for when in ("setup", "call") for record in caplog.get_records(when) if record.name == "asyncio"]
    assert [record.getMessage() for record in said if record.levelname == "ERROR"] == []


@pytest.fixture
def settings(url: str) -> dict[str, object]:
    """Of a client on a database that tests share, each with users of its own."""
    return {"url": url, "embedder": "hashing"}


@pytest.fixture
def own_settings(database: str) -> dict[str, object]:
    """Of a client on a new database."""
    return {"url": database, "embedder": "hashing"}


@pytest.fixture
def no_connections(database: str) -> Callable[[], None]:
    """Waits until nobody is connected to the new database but the one who asks."""
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

    def wait() -> None:
        deadline = time.monotonic() + 5
        with psycopg.connect(database, autocommit=True) as connection:
            left = connection.execute(count).fetchone()
            while left != (0,):
                assert time.monotonic() < deadline, left
                left = connection.execute(count).fetchone()

    return wait


@pytest.fixture
def interrupted(server: Server, database: str, no_connections: Callable[[], None]) -> Iterator[Interruption]:
    """Cancels runs in the middle; at the end nobody is connected."""
    with Proxy(server.port) as proxy:
        url = server.url(database.rpartition("/")[2], port=proxy.port)
        with MemoryClients(url=url, embedder="hashing") as clients:
            yield Interruption(clients, proxy)
        no_connections()


@pytest.fixture
def user() -> str:
    """A user whom no other test knows."""
    return f"user-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def clients(settings: dict[str, Any]) -> Iterator[MemoryClients]:
    """Clients on the database that tests share."""
    with MemoryClients(**settings) as clients:
        yield clients


@pytest.fixture
def dead() -> Iterator[MemoryClients]:
    """Clients of a server that does not listen."""
    with MemoryClients(url=f"postgresql://127.0.0.1:{free_port()}/x", embedder="hashing", timeout=1.0) as clients:
        yield clients


@pytest.fixture
def loop_of_run_sync() -> Iterator[None]:
    """The loop that ``run_sync`` uses, closed after the test: Pydantic AI leaves that to whoever made it."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()
    asyncio.set_event_loop(None)
