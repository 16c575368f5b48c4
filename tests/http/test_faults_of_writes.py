"""Writes through a server are done or not, whatever happens to their client, to the server or to its database."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from openmem import AsyncMemory, Memory, ProviderError
from openmem._ids import bucket_of, new_memory_id
from openmem.providers.postgres.deletions import BATCH_ROWS
from openmem.server import OmpServerConfig

from ..faults.harness import CANCEL_BOUND, STOP_BOUND, cancelled_after, run, until
from ..proxy import Proxy
from ..server.harness import Process, Running, running
from ..servers import Server

MANY = BATCH_ROWS + 10
LATER = datetime(9999, 1, 1, tzinfo=UTC)
RESTORED: dict[str, Any] = {
    "id": new_memory_id("restored"),
    "content": "walks",
    "user_id": "restored",
    "created_at": datetime(2024, 1, 1, tzinfo=UTC),
    "key": "k",
    "version": 3,
}
LOCKED = """
    SELECT FROM openmem.memories m
    WHERE m.user_id IN ('replaced', 'kept', 'ended') OR m.user_id IN ('filtered', 'forgotten') AND NOT EXISTS (
        SELECT FROM openmem.memories later WHERE later.user_id = m.user_id AND later.created_at > m.created_at)
    FOR UPDATE
"""
TAKEN = """
    INSERT INTO openmem.memories (id, user_id, bucket, ordinal, created_at, content, key)
    VALUES (%s, 'restored', %s, 1, now(), 'taken', 'k')
"""
MORE = """
    INSERT INTO openmem.memories (id, user_id, bucket, ordinal, created_at, content, metadata)
    SELECT m.user_id || n, m.user_id, m.bucket, m.ordinal + n, m.created_at + n * interval '1 second', 'tea', m.metadata
    FROM openmem.memories m, generate_series(1, %s) n WHERE m.user_id IN ('filtered', 'forgotten')
"""

Client = AsyncMemory | Memory
CALLS: dict[str, Callable[[Any], Any]] = {
    "put": lambda mem: mem.put(key="k", content="new", user_id="replaced"),
    "put and keep": lambda mem: mem.put(key="k", content="new", user_id="kept", keep_history=True),
    "delete_many": lambda mem: mem.delete_many("filtered", where={"n": 1}),
    "forget_user": lambda mem: mem.forget_user("forgotten"),
    "restore": lambda mem: mem.restore([RESTORED]),
    "purge": lambda mem: mem.purge(ended_before=LATER),
}


class Store:
    """The database behind the server under test, in which each call waits for a lock with its work half done."""

    def __init__(self, url: str) -> None:
        self.url = url
        with Memory(url=url, embedder="hashing") as mem:
            for user in ("replaced", "kept"):
                mem.put(key="k", content="old", user_id=user)
            for user in ("filtered", "forgotten"):
                mem.add(content="tea", user_id=user, metadata={"n": 1})
            mem.add(content="over", user_id="ended", valid_to=datetime(2020, 1, 1, tzinfo=UTC))
        with psycopg.connect(url) as admin:
            admin.execute(MORE, [MANY])

    @contextmanager
    def locked(self) -> Iterator[None]:
        with closing(psycopg.connect(self.url)) as holder:
            holder.execute(LOCKED)
            holder.execute(TAKEN, [new_memory_id("restored"), bucket_of("restored")])
            yield

    def rows(self) -> list[Any]:
        """All memories, audit entries and idempotency keys."""
        tables = ("memories", "audit_log", "idempotency_keys")
        with psycopg.connect(self.url) as reader:
            return [
                row
                for table in tables
                for row in reader.execute(f"SELECT t::text FROM openmem.{table} t ORDER BY 1")  # noqa: S608
            ]

    def served(self) -> AbstractContextManager[Running]:
        return running(OmpServerConfig(settings={"url": self.url, "embedder": "hashing"}))

    def waiting(self) -> int:
        """Statements that wait for a lock."""
        with psycopg.connect(self.url) as watcher:
            row = watcher.execute(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock' AND query !~* 'autovacuum'"
            ).fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture(params=["async", "blocking"])
def facade(request: pytest.FixtureRequest) -> type[Client]:
    return AsyncMemory if request.param == "async" else Memory


@pytest.fixture
def store(database: str) -> Store:
    return Store(database)


@asynccontextmanager
async def opened(facade: type[Client], url: str) -> AsyncIterator[Client]:
    client = facade("passthrough", base_url=url, timeout=20)
    try:
        yield client
    finally:
        closed = client.close()
        if inspect.isawaitable(closed):
            await closed


def perform(mem: Client, call: Callable[[Any], Any]) -> asyncio.Future[Any]:
    """The call under way, on a thread if it blocks."""
    calling: Awaitable[Any] = call(mem) if isinstance(mem, AsyncMemory) else asyncio.to_thread(call, mem)
    return asyncio.ensure_future(calling)


async def begin(mem: Client, store: Store) -> list[asyncio.Future[Any]]:
    """All calls, each waiting in the database."""
    calls = [perform(mem, call) for call in CALLS.values()]
    await until(lambda: store.waiting() == len(calls), within=20)
    return calls


async def check_failed(calls: list[asyncio.Future[Any]]) -> None:
    for name, error in zip(CALLS, await asyncio.gather(*calls, return_exceptions=True), strict=True):
        assert isinstance(error, ProviderError), f"{name}: {error!r}"
        assert error.code == "provider_unavailable", f"{name}: {error!r}"


async def check_all_work(mem: Client) -> None:
    """The same client performs the same calls now, each of them in full."""
    results = {name: await perform(mem, call) for name, call in CALLS.items()}
    assert (results["put"].version, results["put and keep"].version) == (2, 2)
    assert results["delete_many"] == results["forget_user"].memories == MANY + 1
    assert [record.version for record in results["restore"]] == [3]
    # The one that had ended, and the version that was kept.
    assert results["purge"].memories == 2


def test_calls_that_are_cancelled_have_done_nothing(store: Store) -> None:
    before = store.rows()

    async def main(url: str) -> None:
        async with AsyncMemory("passthrough", base_url=url) as mem:
            with store.locked():
                for call in await begin(mem, store):
                    assert await cancelled_after(call) < CANCEL_BOUND
                await until(lambda: store.waiting() == 0, within=STOP_BOUND)
            assert store.rows() == before
            await check_all_work(mem)

    with store.served() as server:
        run(main(server.url))


def test_calls_whose_connections_are_cut_have_done_nothing(store: Store, facade: type[Client]) -> None:
    before = store.rows()

    async def main(proxy: Proxy) -> None:
        async with opened(facade, f"http://127.0.0.1:{proxy.port}") as mem:
            with store.locked():
                calls = await begin(mem, store)
                proxy.refuse()
                proxy.cut()
                await until(lambda: store.waiting() == 0, within=STOP_BOUND)
                await check_failed(calls)
            assert store.rows() == before
            proxy.accept()
            await check_all_work(mem)

    with store.served() as server, Proxy(server.port) as proxy:
        run(main(proxy))


def test_a_server_that_is_killed_has_done_nothing(store: Store, facade: type[Client]) -> None:
    before = store.rows()

    async def main(server: Process) -> None:
        port = server.url.rpartition(":")[2]
        async with opened(facade, server.url) as mem:
            with store.locked():
                calls = await begin(mem, store)
                server.process.kill()
                await check_failed(calls)
                await until(lambda: store.waiting() == 0, within=STOP_BOUND)
            assert store.rows() == before
            with Process("--port", port, OMP_POSTGRES_URL=store.url):
                await check_all_work(mem)

    with Process("--port", "0", OMP_POSTGRES_URL=store.url) as server:
        run(main(server))


def test_a_database_that_is_killed_has_done_nothing(facade: type[Client]) -> None:
    database = Server()
    database.start()
    try:
        store = Store(database.create_database())
        before = store.rows()

        async def main(url: str) -> None:
            async with opened(facade, url) as mem:
                with store.locked():
                    calls = await begin(mem, store)
                    database.crash()
                    await check_failed(calls)
                database.start()
                assert store.rows() == before
                await check_all_work(mem)

        with store.served() as server:
            run(main(server.url))
    finally:
        database.remove()
