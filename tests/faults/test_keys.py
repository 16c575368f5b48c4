"""`put` and `restore` are done or not, whatever happens in the middle."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from openmem import AsyncMemory, ConflictError, Memory, ProviderError
from openmem._ids import new_memory_id
from openmem.embedders.hashing import HashingEmbedder
from openmem.providers.postgres.batches import BATCH_MEMORIES

from ..servers import Server
from .harness import CANCEL_BOUND, KEY, RECLAIM_BOUND, USER, Database, cancelled_after, run, until, until_blocking
from .test_add_many import Failing, Halting

START = datetime(2024, 1, 1, tzinfo=UTC)
RECORDS: list[dict[str, Any]] = [
    {
        "id": new_memory_id(USER),
        "content": f"note {number}",
        "user_id": USER,
        "created_at": START + timedelta(seconds=number),
        "key": f"note {number}",
    }
    for number in range(4 * BATCH_MEMORIES)
]
KEPT = "SELECT count(*) FROM openmem.memories"
LOGGED = "SELECT count(*) FROM openmem.audit_log"


def fail_after_the_first_batch(done: int, total: int) -> None:
    raise BrokenPipeError("nobody listens")


FAILURES: dict[str, tuple[Callable[[], HashingEmbedder], dict[str, Any], type[Exception]]] = {
    "embedder": (Failing, {}, ProviderError),
    "progress": (HashingEmbedder, {"progress": fail_after_the_first_batch}, BrokenPipeError),
    "key": (HashingEmbedder, {"records": [*RECORDS[:-1], RECORDS[-1] | {"key": KEY}]}, ConflictError),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_failure_in_the_middle_restores_nothing(db: Database, failure: Any) -> None:
    embedder, arguments, error = failure
    with db.open(embedder=embedder(), pool_max_size=1) as mem:
        with pytest.raises(error):
            mem.restore(**{"records": RECORDS} | arguments)
        assert (db.ask(KEPT), db.ask(LOGGED)) == (1, 1)

    async def main() -> None:
        async with db.async_open(embedder=embedder(), pool_max_size=1) as mem:
            with pytest.raises(error):
                await mem.restore(**{"records": RECORDS} | arguments)
            assert (db.ask(KEPT), db.ask(LOGGED)) == (1, 1)
            restored = await mem.restore(RECORDS[:3])
            assert await mem.restore(RECORDS[:3]) == restored
        db.check_audited()

    run(main())


def test_cancelled_while_it_restores(db: Database) -> None:
    embedder = Halting()

    async def main() -> None:
        async with db.async_open(embedder=embedder, pool_max_size=1) as mem:
            call = asyncio.create_task(mem.restore(RECORDS))
            await until(embedder.is_there.is_set, within=10)
            assert await cancelled_after(call) < CANCEL_BOUND
            embedder.go_on.set()
            async with asyncio.timeout(RECLAIM_BOUND):
                assert len((await mem.list(USER)).items) == 1
        assert db.ask(KEPT) == 1

    run(main())


@pytest.mark.parametrize("keep_history", [False, True])
def test_a_put_that_is_cancelled_leaves_the_old_version(db: Database, keep_history: bool) -> None:
    """It waits for the memory that another transaction holds, with some of its work done."""
    put: dict[str, Any] = {"key": KEY, "content": "new", "user_id": USER, "keep_history": keep_history}

    async def main() -> None:
        async with db.async_open(pool_max_size=1) as mem:
            before = await mem.get(db.id)
            with psycopg.connect(db.url.partition("?")[0]) as holder:
                holder.execute("SELECT FROM openmem.memories FOR UPDATE")
                call = asyncio.create_task(mem.put(**put))
                await until(lambda: db.waiting() == 1, within=5)
                assert await cancelled_after(call) < CANCEL_BOUND
                await until(lambda: not db.running(), within=1)
            assert await mem.get_by_key(KEY, USER) == before
            assert (await mem.list(USER)).items == [before]
            assert (await mem.put(**put)).version == 2
        db.check_audited()

    run(main())


def test_a_server_that_crashes_in_the_middle_has_restored_and_put_nothing() -> None:
    server = Server()
    server.start()
    try:
        for crash in (_crash_in_the_middle, _crash_in_the_middle_of_a_blocking_call):
            url = server.create_database()
            with Memory(url=url, embedder="hashing") as memory:
                memory.put(key=KEY, content="old", user_id=USER)
            crash(server, url)
            server.start()
            with psycopg.connect(url) as connection:
                rows = connection.execute("SELECT content, version, valid_to FROM openmem.memories").fetchall()
                assert rows == [("old", 1, None)]
                assert connection.execute("SELECT count(*) FROM openmem.audit_log").fetchone() == (1,)
    finally:
        server.remove()


def _crash_in_the_middle(server: Server, url: str) -> None:
    embedder = Halting()

    async def main() -> None:
        async with AsyncMemory(url=url, embedder=embedder) as mem:
            holder = psycopg.connect(url)
            holder.execute("SELECT FROM openmem.memories FOR UPDATE")
            embedder.batches = 1
            put = asyncio.create_task(mem.put(key=KEY, content="new", user_id=USER, keep_history=True))
            await until(lambda: embedder.batches == 2, within=10)
            embedder.batches = 0
            restore = asyncio.create_task(mem.restore(RECORDS))
            await until(embedder.is_there.is_set, within=10)
            server.crash()
            embedder.go_on.set()
            for error in await asyncio.gather(put, restore, return_exceptions=True):
                assert isinstance(error, ProviderError)
                assert error.code == "provider_unavailable"
            holder.close()

    run(main())


def _crash_in_the_middle_of_a_blocking_call(server: Server, url: str) -> None:
    embedder = Halting()
    with Memory(url=url, embedder=embedder) as mem:
        failures: list[ProviderError] = []

        def restore() -> None:
            with pytest.raises(ProviderError) as caught:
                mem.restore(RECORDS)
            failures.append(caught.value)

        call = threading.Thread(target=restore)
        call.start()
        until_blocking(embedder.is_there.is_set, within=10)
        server.crash()
        embedder.go_on.set()
        call.join(20)
        assert [failure.code for failure in failures] == ["provider_unavailable"]
