"""`delete_many` and `forget_user` remove all or nothing, and `purge` goes on where it was, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from openmem import AsyncMemory, Memory, ProviderError
from openmem.providers.postgres.deletions import BATCH_ROWS

from ..servers import Server
from .harness import CANCEL_BOUND, RECLAIM_BOUND, USER, Database, cancelled_after, run, until

MANY = 2 * BATCH_ROWS + 10
LAST = f"mem_{MANY}"
MEMORIES = "SELECT count(*) FROM openmem.memories"
ENTRIES = "SELECT count(*) FROM openmem.audit_log"
FILL = """
    INSERT INTO openmem.memories (id, user_id, bucket, ordinal, created_at, content, metadata, valid_to, expires_at)
    SELECT 'mem_' || n, m.user_id, m.bucket, m.ordinal + n, m.created_at + n * interval '1 second', 'tea', '{"n": 1}',
        m.created_at - interval '1 hour', %s
    FROM openmem.memories m, generate_series(1, %s) n
"""
EARLIER = datetime(2020, 1, 1, tzinfo=UTC)
LATER = datetime(9999, 1, 1, tzinfo=UTC)

Deletion = Callable[[AsyncMemory], Awaitable[object]]
AT_ONCE: dict[str, Deletion] = {
    "everything": lambda mem: mem.delete_many(USER, everything=True),
    "a filter": lambda mem: mem.delete_many(USER, where={"n": 1}),
    "ids": lambda mem: mem.delete_many(USER, ids=[f"mem_{number}" for number in range(1, MANY + 1)]),
    "a user": lambda mem: mem.forget_user(USER),
}


@pytest.fixture(params=AT_ONCE)
def deletion(request: pytest.FixtureRequest) -> Deletion:
    return AT_ONCE[request.param]


@pytest.fixture
def full(db: Database) -> Database:
    """A database in which a deletion takes several batches."""
    fill(db.url)
    return db


def fill(url: str, expires_at: datetime | None = None) -> None:
    """Store many memories besides the one that is there."""
    with psycopg.connect(url) as admin:
        admin.execute(FILL, [expires_at, MANY])


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Hold the lock of a memory of the last batch."""
    with psycopg.connect(url.partition("?")[0]) as other:
        other.execute("SELECT FROM openmem.memories WHERE id = %s FOR UPDATE", [LAST])
        yield


def test_a_deletion_that_is_cancelled_removes_nothing(full: Database, deletion: Deletion) -> None:
    async def main() -> None:
        async with full.async_open(pool_min_size=1, pool_max_size=1) as mem:
            with locked(full.url):
                task = asyncio.ensure_future(deletion(mem))
                await until(lambda: full.waiting() == 1, within=20)
                assert await cancelled_after(task) < CANCEL_BOUND
                await until(lambda: full.running() == 0, within=RECLAIM_BOUND)
            assert (full.ask(MEMORIES), full.ask(ENTRIES)) == (MANY + 1, 1)
            await deletion(mem)
            assert full.ask(MEMORIES) <= 1

    run(main())


def test_a_deletion_whose_connection_is_ended_removes_nothing(full: Database, deletion: Deletion) -> None:
    async def main() -> None:
        async with full.async_open() as mem:
            with locked(full.url):
                task = asyncio.ensure_future(deletion(mem))
                await until(lambda: full.waiting() == 1, within=20)
                full.ask(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                    "WHERE application_name = 'subject' AND state = 'active'"
                )
                with pytest.raises(ProviderError):
                    await task
        assert (full.ask(MEMORIES), full.ask(ENTRIES)) == (MANY + 1, 1)

    run(main())


def test_a_deletion_during_which_the_server_is_killed_removes_nothing(deletion: Deletion) -> None:
    server = Server(18)
    server.start()
    try:
        url = server.create_database()
        with Memory(url=url, embedder="hashing") as mem:
            mem.add(content="tea", user_id=USER)
        fill(url)

        async def main() -> None:
            async with AsyncMemory(url=url, embedder="hashing") as mem:
                with psycopg.connect(url) as other:
                    other.execute("SELECT FROM openmem.memories WHERE id = %s FOR UPDATE", [LAST])
                    task = asyncio.ensure_future(deletion(mem))
                    await until(lambda: is_waiting(other), within=20)
                    server.crash()
                    with pytest.raises(ProviderError):
                        await task
                    other.close()

        run(main())
        server.start()
        with Memory(url=url, embedder="hashing") as mem:
            assert mem.count(USER) == MANY + 1
            assert [entry.action for entry in mem.audit(USER)] == ["count", "add"]
    finally:
        server.remove()


def is_waiting(admin: psycopg.Connection[Any]) -> bool:
    row = admin.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
    assert row is not None
    return bool(row[0])


def test_writers_do_not_wait_for_a_deletion(full: Database) -> None:
    async def main() -> None:
        async with full.async_open() as mem:
            with locked(full.url):
                task = asyncio.create_task(mem.delete_many(USER, where={"n": 1}))
                await until(lambda: full.waiting() == 1, within=20)
                added = await mem.add(content="coffee", user_id=USER)
                await mem.update(full.id, content="tea at noon")
                await mem.update(added.id, content="coffee at noon")
            assert await task == MANY
        assert full.ask(MEMORIES) == 2

    run(main())


def test_what_was_changed_meanwhile_is_looked_at_again(full: Database) -> None:
    async def main() -> None:
        async with full.async_open() as mem:
            with psycopg.connect(full.url.partition("?")[0]) as other:
                other.execute("UPDATE openmem.memories SET metadata = '{}' WHERE id = %s", [LAST])
                task = asyncio.create_task(mem.delete_many(USER, where={"n": 1}))
                await until(lambda: full.waiting() == 1, within=20)
            assert await task == MANY - 1

    run(main())


class StopError(Exception):
    """What a caller raises."""


def test_a_purge_that_is_stopped_goes_on(db: Database) -> None:
    fill(db.url, EARLIER)
    seen: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        seen.append((done, total))
        raise StopError

    with db.open() as mem:
        with pytest.raises(StopError):
            mem.purge(progress=stop)
        assert seen == [(BATCH_ROWS, MANY)]
        assert db.ask(MEMORIES) == MANY + 1 - BATCH_ROWS
        rest = MANY - BATCH_ROWS
        assert mem.purge().memories == rest
        assert db.ask(MEMORIES) == 1
        assert mem.purge().memories == 0


def test_a_purge_that_is_cancelled_goes_on(full: Database) -> None:
    async def main() -> None:
        async with full.async_open() as mem:
            with locked(full.url):
                task = asyncio.create_task(mem.purge(ended_before=LATER))
                await until(lambda: full.waiting() == 1, within=20)
                assert await cancelled_after(task) < CANCEL_BOUND
                await until(lambda: full.running() == 0, within=RECLAIM_BOUND)
            left = full.ask(MEMORIES)
            assert 1 < left <= MANY
            assert (await mem.purge(ended_before=LATER)).memories == left - 1
            assert full.ask(MEMORIES) == 1

    run(main())


def test_a_purge_leaves_what_others_are_removing(db: Database) -> None:
    fill(db.url, EARLIER)
    with db.open() as mem, locked(db.url):
        assert mem.purge().memories == MANY - 1
