"""Clients behind PgBouncer in transaction mode, which has fewer connections than they have."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from openmem import AsyncMemory, InvalidRequestError, Memory, MemoryRecord, NotFoundError, ProviderError

from ..faults.harness import CANCEL_BOUND, STOP_BOUND, cancelled_after, run, until
from .pooler import CONNECTIONS, Pooler

TASKS = 50
CALLS = 5


@pytest.fixture
def pooled(pooler: Pooler) -> tuple[str, str]:
    return pooler.create_database()


@pytest.fixture
def admin(pooled: tuple[str, str]) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(pooled[1], autocommit=True) as connection:
        yield connection


def number(admin: psycopg.Connection[Any], sql: str) -> int:
    row = admin.execute(sql.encode()).fetchone()
    assert row is not None
    return int(row[0])


async def use(mem: AsyncMemory, user: str) -> None:
    """Every verb, with results that would differ if a statement of somebody else ran."""
    for call in range(CALLS):
        record = await mem.add(content=f"{user} drinks tea number {call}", user_id=user)
        assert await mem.get(record.id) == record
        assert {hit.memory.user_id for hit in await mem.search("tea", user)} == {user}
        changed = await mem.update(record.id, tags=[user])
        assert changed.tags == [user]
        assert [item.id for item in (await mem.list(user, limit=1)).items] == [record.id]
        with pytest.raises(InvalidRequestError, match="no memory 'unknown'"):
            await mem.add(content="x", user_id=user, supersedes=["unknown"])
    assert len((await mem.list(user)).items) == CALLS
    actions = [entry.action for entry in await mem.audit(user)]
    assert sorted(actions) == sorted(["add", "get", "search", "update", "list"] * CALLS + ["list"])


def test_many_tasks_on_few_connections(pooled: tuple[str, str], admin: psycopg.Connection[Any]) -> None:
    async def main() -> None:
        async with AsyncMemory(url=pooled[0], embedder="hashing", pool_max_size=TASKS, pool_min_size=TASKS) as mem:
            await asyncio.gather(*(use(mem, f"user {task}") for task in range(TASKS)))
            sessions = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            assert number(admin, sessions) == CONNECTIONS

    run(main())


def test_many_threads_on_few_connections(pooled: tuple[str, str]) -> None:
    def work(user: str) -> MemoryRecord:
        for call in range(CALLS):
            record = memory.add(content=f"{user} drinks tea number {call}", user_id=user)
            assert memory.get(record.id) == record
            assert {hit.memory.user_id for hit in memory.search("tea", user)} == {user}
        return record

    with Memory(url=pooled[0], embedder="hashing", pool_max_size=20) as memory, ThreadPoolExecutor(20) as threads:
        users = [f"user {thread}" for thread in range(20)]
        assert [record.user_id for record in threads.map(work, users)] == users


def test_a_cancelled_call_stops_its_query(pooled: tuple[str, str], admin: psycopg.Connection[Any]) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    async def main() -> None:
        async with AsyncMemory(url=pooled[0], embedder="hashing", pool_max_size=1) as mem:
            record = await mem.add(content="tea", user_id="maya")
            with psycopg.connect(pooled[1]) as blocker:
                blocker.execute("LOCK TABLE openmem.memories IN ACCESS EXCLUSIVE MODE")
                call = asyncio.ensure_future(mem.update(record.id, content="coffee"))
                await until(lambda: number(admin, waiting) == 1, within=5)
                assert await cancelled_after(call) < CANCEL_BOUND
                await until(lambda: number(admin, waiting) == 0, within=STOP_BOUND)
            assert await mem.get(record.id) == record
            idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
            assert number(admin, idle) == 0

    run(main())


def test_calls_cancelled_at_any_moment(pooled: tuple[str, str], admin: psycopg.Connection[Any]) -> None:
    async def main() -> None:
        async with AsyncMemory(url=pooled[0], embedder="hashing", pool_max_size=4) as mem:
            for step in range(60):
                call = asyncio.ensure_future(mem.add(content="tea", user_id="maya"))
                await asyncio.sleep(step * 0.0002)
                call.cancel()
                await asyncio.wait([call])
            kept = await mem.list("maya", limit=500)
            added = number(admin, "SELECT count(*) FROM openmem.audit_log WHERE action = 'add'")
            assert len(kept.items) == added

    run(main())


def test_an_error_leaves_no_transaction_open(pooled: tuple[str, str], admin: psycopg.Connection[Any]) -> None:
    async def main() -> None:
        async with AsyncMemory(url=pooled[0], embedder="hashing", pool_max_size=1) as mem:
            await mem.add(content="tea", user_id="maya")
            admin.execute("ALTER TABLE openmem.memories ADD CONSTRAINT no_coffee CHECK (content <> 'coffee')")
            for _ in range(3):
                with pytest.raises(Exception, match="no_coffee"):
                    await mem.add(content="coffee", user_id="maya")
                assert len((await mem.list("maya")).items) == 1

    run(main())


def test_a_url_that_does_not_tell_of_the_pooler(pooled: tuple[str, str]) -> None:
    plain = pooled[0].partition("?")[0]
    open_every_connection(plain)

    def use() -> None:
        with Memory(url=plain, embedder="hashing") as memory:
            for _ in range(CONNECTIONS + 1):
                memory.list("maya")

    with pytest.raises(ProviderError, match=r"url needs \?pgbouncer=true"):
        use()


def open_every_connection(url: str) -> None:
    """Make the pooler open all its connections to the database; from then on it lends them in turn."""
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(psycopg.connect(url)).execute("SELECT 1", prepare=False)


def test_nothing_is_left_in_a_session(pooled: tuple[str, str]) -> None:
    with Memory(url=pooled[0], embedder="hashing") as memory:
        memory.add(content="tea", user_id="maya")
        with pytest.raises(NotFoundError):
            memory.get("mem_unknown")
        plain = pooled[0].partition("?")[0]
        open_every_connection(plain)
        for _ in range(CONNECTIONS):
            with psycopg.connect(plain, autocommit=True, prepare_threshold=None) as stranger:
                assert stranger.execute("SHOW jit").fetchone() == ("on",)
                assert stranger.execute("SHOW synchronous_commit").fetchone() == ("on",)
                assert stranger.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)


def test_sessions_with_other_settings(pooled: tuple[str, str], admin: psycopg.Connection[Any]) -> None:
    name = pooled[1].rpartition("/")[2]
    admin.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'".encode())
    admin.execute(f"ALTER DATABASE {name} SET standard_conforming_strings = off".encode())
    admin.execute(f"ALTER DATABASE {name} SET \"DateStyle\" = 'German, DMY'".encode())
    admin.execute(f"ALTER DATABASE {name} SET search_path = openmem, pg_catalog".encode())

    async def main() -> None:
        async with AsyncMemory(url=pooled[0], embedder="hashing", pool_max_size=20) as mem:
            await asyncio.gather(*(use(mem, f"user {task}") for task in range(20)))
            shared = await mem.add(content="C:\\new", user_id="maya")
            await asyncio.gather(*(mem.update(shared.id, tags=[str(task)]) for task in range(40)))
            assert (await mem.get(shared.id)).content == "C:\\new"

    run(main())
    with Memory(url=pooled[0], embedder="hashing") as memory:
        memory.add(content="tea", user_id="maya")
        assert memory.search("tea", user_id="maya")[0].memory.content == "tea"
    plain = pooled[0].partition("?")[0]
    with psycopg.connect(plain, autocommit=True, prepare_threshold=None) as stranger:
        assert stranger.execute("SHOW default_transaction_isolation").fetchone() == ("serializable",)
        assert stranger.execute("SHOW search_path").fetchone() == ("openmem, pg_catalog",)
