"""Replacements of one memory that meet each other, on a real server."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from openmem import AsyncMemory, ConflictError, Memory, MemoryRecord
from openmem.operations import Add
from openmem.ports import run_blocking
from openmem.providers.base import Call

USER = "maya"


@pytest.fixture
def memory(database: str) -> Iterator[Memory]:
    with Memory(url=database, embedder="hashing", pool_max_size=8) as memory:
        yield memory


@pytest.fixture
def admin(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database) as connection:
        yield connection


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def hold(admin: psycopg.Connection, id: str) -> None:
    """Lock a memory, so that whoever is about to end it waits."""
    admin.execute("SELECT FROM openmem.memories WHERE id = %s FOR UPDATE", [id])


def wait_until_waiting(admin: psycopg.Connection, count: int) -> None:
    """Wait until so many sessions wait for a lock."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    deadline = time.monotonic() + 30
    with psycopg.connect(admin.info.dsn, password=admin.info.password, autocommit=True) as watcher:
        while watcher.execute(waiting).fetchone() != (count,):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def add_once(memory: Memory, key: str, content: str, supersedes: str) -> MemoryRecord:
    op = Add(content=content, user_id=USER, supersedes=[supersedes])
    return run_blocking(memory.client.run(op, Call("request", idempotency_key=key)))


WRITES: dict[str, Callable[[Memory, str, str], Any]] = {
    "add": lambda memory, old, other: memory.add(content="x", user_id=USER, supersedes=[old]),
    "add with a key": lambda memory, old, other: add_once(memory, "key", "x", old),
    "add_many": lambda memory, old, other: memory.add_many([{"content": "x", "user_id": USER, "supersedes": [old]}]),
    "update": lambda memory, old, other: memory.update(other, supersedes=[old]),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_who_began_first_and_comes_second_is_told(
    memory: Memory, admin: psycopg.Connection, threads: ThreadPoolExecutor, write: Callable[..., Any]
) -> None:
    """The end that it finds is later than the beginning of its own transaction."""
    old = memory.add(content="Maya lives in Leeds", user_id=USER)
    other = memory.add(content="Maya lives in Porto", user_id=USER)
    hold(admin, old.id)
    late = threads.submit(write, memory, old.id, other.id)
    wait_until_waiting(admin, 1)
    admin.execute("UPDATE openmem.memories SET valid_to = clock_timestamp() WHERE id = %s", [old.id])
    admin.commit()
    with pytest.raises(ConflictError, match=old.id):
        late.result(timeout=30)
    assert {item.id for item in memory.list(USER).items} == {old.id, other.id}
    assert memory.get(other.id) == other


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_who_waited_for_nothing_goes_on(
    memory: Memory, admin: psycopg.Connection, threads: ThreadPoolExecutor, write: Callable[..., Any]
) -> None:
    old = memory.add(content="Maya lives in Leeds", user_id=USER)
    other = memory.add(content="Maya lives in Porto", user_id=USER)
    hold(admin, old.id)
    late = threads.submit(write, memory, old.id, other.id)
    wait_until_waiting(admin, 1)
    admin.execute("UPDATE openmem.memories SET valid_to = clock_timestamp() WHERE id = %s", [old.id])
    admin.rollback()
    late.result(timeout=30)
    assert memory.get(old.id).valid_to is not None


def test_a_repetition_that_waited_is_no_conflict(
    memory: Memory, admin: psycopg.Connection, threads: ThreadPoolExecutor
) -> None:
    old = memory.add(content="Maya lives in Leeds", user_id=USER)
    hold(admin, old.id)
    twice = [threads.submit(add_once, memory, "a key", "Maya lives in Porto", old.id) for _ in range(4)]
    other = threads.submit(add_once, memory, "another key", "Maya lives in Oslo", old.id)
    wait_until_waiting(admin, 5)
    admin.rollback()
    stored = [future.result(timeout=30) for future in twice if future.exception(timeout=30) is None]
    if stored:
        assert len(stored) == 4
        assert len({record.id for record in stored}) == 1
        assert isinstance(other.exception(timeout=30), ConflictError)
    else:
        assert all(isinstance(future.exception(), ConflictError) for future in twice)
        stored = [other.result(timeout=30)]
    assert [item.id for item in memory.list(USER).items] == [stored[0].id, old.id]
    again = add_once(memory, "a key" if len(twice) == len(stored) else "another key", stored[0].content, old.id)
    assert again.id == stored[0].id


def test_many_at_once_leave_one(memory: Memory) -> None:
    old = memory.add(content="Maya lives in Leeds", user_id=USER)
    barrier = threading.Barrier(8)

    def replace(number: int) -> MemoryRecord:
        barrier.wait()
        return memory.add(content=f"Maya lives in place {number}", user_id=USER, supersedes=[old.id])

    for _ in range(10):
        with ThreadPoolExecutor(8) as threads:
            futures: list[Future[MemoryRecord]] = [threads.submit(replace, number) for number in range(8)]
        [winner] = [future.result() for future in futures if future.exception() is None]
        assert {type(future.exception()) for future in futures} == {ConflictError, type(None)}
        old = winner
    assert [hit.memory.id for hit in memory.search("Maya lives", USER)] == [old.id]


def update_async(url: str, id: str, supersedes: str) -> MemoryRecord:
    async def update() -> MemoryRecord:
        async with AsyncMemory(url=url, embedder="hashing") as memory:
            return await memory.update(id, supersedes=[supersedes])

    return asyncio.run(update())


@pytest.mark.parametrize("is_async", [False, True])
def test_a_write_that_met_another_in_a_deadlock_is_tried_again(
    database: str, admin: psycopg.Connection, threads: ThreadPoolExecutor, is_async: bool
) -> None:
    # The server looks for a deadlock once, so that it must be there by then.
    admin.execute(f"ALTER DATABASE {admin.info.dbname} SET deadlock_timeout = '3s'")
    admin.commit()
    with Memory(url=database, embedder="hashing") as memory:
        first = memory.add(content="Maya lives in Leeds", user_id=USER)
        second = memory.add(content="Maya lives in Porto", user_id=USER)
        hold(admin, second.id)
        if is_async:
            late = threads.submit(update_async, database, first.id, second.id)
        else:
            late = threads.submit(memory.update, first.id, supersedes=[second.id])
        wait_until_waiting(admin, 1)
        admin.execute("SET LOCAL deadlock_timeout = '60s'")
        hold(admin, first.id)
        admin.rollback()
        assert late.result(timeout=30).supersedes == [second.id]
        assert memory.get(second.id).valid_to is not None
        assert [entry.action for entry in memory.audit(USER)] == ["get", "update", "add", "add"]
