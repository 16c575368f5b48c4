"""`add_many` stores all or nothing, whatever happens in the middle."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
import pytest

from openmem import AsyncMemory, InvalidRequestError, Memory, ProviderError
from openmem.embedders.hashing import HashingEmbedder
from openmem.providers.postgres.batches import BATCH_CHARACTERS, BATCH_MEMORIES

from ..proxy import Proxy
from ..servers import Server
from .harness import CANCEL_BOUND, RECLAIM_BOUND, USER, Database, cancelled_after, run, until, until_blocking

MANY = [{"content": f"note {number}", "user_id": USER} for number in range(4 * BATCH_MEMORIES)]
KEPT = "SELECT count(*) FROM openmem.memories"
LOGGED = "SELECT count(*) FROM openmem.audit_log"


class Halting(HashingEmbedder):
    """An embedder that stops at the third batch until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.batches = 0
        self.is_there = threading.Event()
        self.go_on = threading.Event()

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        self.batches += 1
        if self.batches == 3:
            self.is_there.set()
            self.go_on.wait(20)
        return super().embed(texts)


class Failing(HashingEmbedder):
    """An embedder that fails at the third batch."""

    def __init__(self) -> None:
        super().__init__()
        self.batches = 0

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        self.batches += 1
        if self.batches == 3:
            raise ValueError("out of order")
        return super().embed(texts)


class Beyond(HashingEmbedder):
    """An embedder whose numbers are too large to be stored."""

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return [[1e6] * self.dim for _ in texts]


def fail_after_the_first_batch(done: int, total: int) -> None:
    raise BrokenPipeError("nobody listens")


FAILURES: dict[str, tuple[Callable[[], HashingEmbedder], dict[str, Any], type[Exception], str]] = {
    "embedder": (Failing, {}, ProviderError, "failed with ValueError"),
    "too large a number": (Beyond, {}, ProviderError, "1000000.0"),
    "progress": (HashingEmbedder, {"progress": fail_after_the_first_batch}, BrokenPipeError, "nobody listens"),
    "superseded": (HashingEmbedder, {}, InvalidRequestError, r"records\[1999\]\.supersedes: "),
}


def check_nothing_was_stored(db: Database) -> None:
    assert (db.ask(KEPT), db.ask(LOGGED)) == (1, 1)


@pytest.fixture(params=FAILURES)
def failure(request: pytest.FixtureRequest) -> Any:
    embedder, arguments, error, message = FAILURES[request.param]
    records: list[dict[str, Any]] = [*MANY]
    if request.param == "superseded":
        records[-1] = MANY[-1] | {"supersedes": ["mem_unknown"]}
    return embedder(), {"records": records, **arguments}, error, message


def test_a_failure_in_the_middle_stores_nothing(db: Database, failure: Any) -> None:
    embedder, arguments, error, message = failure

    async def main() -> None:
        async with db.async_open(embedder=embedder, pool_max_size=1) as mem:
            before = db.ids("SELECT pid FROM pg_stat_activity WHERE application_name = 'subject'")
            with pytest.raises(error, match=message):
                await mem.add_many(**arguments)
            check_nothing_was_stored(db)
            assert len((await mem.list(USER)).items) == 1
            assert db.ids("SELECT pid FROM pg_stat_activity WHERE application_name = 'subject'") == before

    run(main())


def test_a_failure_in_the_middle_of_a_blocking_call_stores_nothing(db: Database, failure: Any) -> None:
    embedder, arguments, error, message = failure
    with db.open(embedder=embedder, pool_max_size=1) as mem:
        before = db.ids("SELECT pid FROM pg_stat_activity WHERE application_name = 'subject'")
        with pytest.raises(error, match=message):
            mem.add_many(**arguments)
        check_nothing_was_stored(db)
        assert len(mem.list(USER).items) == 1
        assert db.ids("SELECT pid FROM pg_stat_activity WHERE application_name = 'subject'") == before


def test_cancelled_while_it_embeds(db: Database) -> None:
    embedder = Halting()

    async def main() -> None:
        async with db.async_open(embedder=embedder, pool_max_size=1) as mem:
            call = asyncio.create_task(mem.add_many(MANY))
            await until(embedder.is_there.is_set, within=10)
            assert await cancelled_after(call) < CANCEL_BOUND
            embedder.go_on.set()
            async with asyncio.timeout(RECLAIM_BOUND):
                assert len((await mem.list(USER)).items) == 1
        assert db.ask(KEPT) == 1

    run(main())


def test_cancelled_while_the_server_stores(db: Database) -> None:
    """The first batch waits for a lock, while the next one is ready."""
    embedder = HashingEmbedder()

    async def main() -> None:
        async with db.async_open(embedder=embedder, pool_max_size=1) as mem:
            with db.locked("EXCLUSIVE"):
                call = asyncio.create_task(mem.add_many(MANY))
                await until(lambda: db.waiting() == 1, within=10)
                assert await cancelled_after(call) < CANCEL_BOUND
                await until(lambda: db.running() == 0, within=1)
            async with asyncio.timeout(RECLAIM_BOUND):
                assert len((await mem.list(USER)).items) == 1
        assert db.ask(KEPT) == 1

    run(main())


def test_cancelled_while_the_network_is_frozen(db: Database, proxy: Proxy) -> None:
    async def main() -> None:
        async with db.async_open(url=db.through(proxy.port), embedder=(embedder := Halting())) as mem:
            call = asyncio.create_task(mem.add_many(MANY))
            await until(embedder.is_there.is_set, within=10)
            proxy.freeze()
            embedder.go_on.set()
            await asyncio.sleep(0.2)
            assert await cancelled_after(call) < CANCEL_BOUND
            proxy.thaw()
            async with asyncio.timeout(5):
                assert len((await mem.list(USER)).items) == 1

    run(main())


def test_others_use_the_client_meanwhile(db: Database) -> None:
    embedder = Halting()

    async def main() -> None:
        async with db.async_open(embedder=embedder) as mem:
            call = asyncio.create_task(mem.add_many(MANY))
            await until(embedder.is_there.is_set, within=10)
            assert len((await mem.list(USER)).items) == 1
            await mem.add(content="tea", user_id="other")
            embedder.go_on.set()
            stored = await call
            assert [record.content for record in stored] == [record["content"] for record in MANY]
            newest = (await mem.list(USER, limit=500)).items
            assert newest == stored[:-501:-1]
        db.check_audited()

    run(main())


def test_the_next_batch_is_embedded_while_the_server_stores(db: Database) -> None:
    """The first batch waits for a lock until the second one was embedded."""
    embedder = Halting()
    embedder.batches = 1

    async def main() -> None:
        async with db.async_open(embedder=embedder) as mem:
            with db.locked("EXCLUSIVE"):
                call = asyncio.create_task(mem.add_many(MANY))
                await until(lambda: db.waiting() == 1 and embedder.is_there.is_set(), within=10)
            embedder.go_on.set()
            assert len(await call) == len(MANY)

    run(main())


def test_batches_are_bounded_and_progress_is_told(db: Database) -> None:
    long = "x" * (BATCH_CHARACTERS // 4)
    records = [{"content": long, "user_id": USER} for _ in range(6)]
    told: list[tuple[int, int]] = []
    with db.open() as mem:
        mem.add_many(records, progress=lambda done, total: told.append((done, total)))
    assert told == [(4, 6), (6, 6)]


def test_a_server_that_crashes_in_the_middle_has_stored_nothing() -> None:
    server = Server()
    server.start()
    try:
        for open_async in (True, False):
            url = server.create_database()
            embedder = Halting()
            if open_async:
                run(_crash_in_the_middle(server, url, embedder))
            else:
                _crash_in_the_middle_of_a_blocking_call(server, url, embedder)
            server.start()
            with psycopg.connect(url) as connection:
                for table in ("memories", "audit_log"):
                    assert connection.execute(f"SELECT count(*) FROM openmem.{table}".encode()).fetchone() == (0,)  # noqa: S608
    finally:
        server.remove()


async def _crash_in_the_middle(server: Server, url: str, embedder: Halting) -> None:
    async with AsyncMemory(url=url, embedder=embedder) as mem:
        call = asyncio.create_task(mem.add_many(MANY))
        await until(embedder.is_there.is_set, within=10)
        server.crash()
        embedder.go_on.set()
        with pytest.raises(ProviderError) as caught:
            await call
        assert caught.value.code == "provider_unavailable"


def _crash_in_the_middle_of_a_blocking_call(server: Server, url: str, embedder: Halting) -> None:
    with Memory(url=url, embedder=embedder) as mem:
        failures: list[ProviderError] = []

        def add() -> None:
            with pytest.raises(ProviderError) as caught:
                mem.add_many(MANY)
            failures.append(caught.value)

        call = threading.Thread(target=add)
        call.start()
        until_blocking(embedder.is_there.is_set, within=10)
        server.crash()
        embedder.go_on.set()
        call.join(20)
        assert [failure.code for failure in failures] == ["provider_unavailable"]


def test_an_error_of_the_callers_progress_is_its_own(db: Database) -> None:
    def progress(done: int, total: int) -> None:
        raise TimeoutError("the caller's own")

    with db.open() as memory, pytest.raises(TimeoutError, match="the caller's own"):
        memory.add_many(MANY, progress=progress)

    async def main() -> None:
        async with db.async_open() as memory:
            with pytest.raises(TimeoutError, match="the caller's own"):
                await memory.add_many(MANY, progress=progress)

    run(main())
    check_nothing_was_stored(db)
