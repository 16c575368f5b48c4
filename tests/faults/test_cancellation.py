"""A cancelled verb: how soon its caller is free, and what becomes of connection, query and write."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections.abc import Sequence

import psycopg
import pytest

from openmem import AsyncMemory, ProviderError
from openmem.embedders.hashing import HashingEmbedder

from ..proxy import Proxy
from .harness import CANCEL_BOUND, RECLAIM_BOUND, STOP_BOUND, USER, VERBS, Database, cancelled_after, run, until

pytestmark = pytest.mark.usefixtures("no_leaks")


async def check_all_slots(db: Database, mem: AsyncMemory, slots: int) -> None:
    """The pool can still use all its connections at once, and no more than those."""
    with db.locked():
        calls = [asyncio.create_task(mem.list(USER)) for _ in range(slots + 2)]
        await until(lambda: db.waiting() == slots, within=2)
        assert db.connections() == slots
    await asyncio.gather(*calls)


@pytest.mark.parametrize("verb", VERBS)
def test_while_the_query_waits_for_a_lock(db: Database, verb: str) -> None:
    async def main() -> None:
        async with db.async_open(pool_max_size=1, pool_timeout=RECLAIM_BOUND) as mem:
            with db.locked():
                call = asyncio.ensure_future(VERBS[verb](mem, db.id))
                await until(lambda: db.waiting() == 1, within=5)
                assert await cancelled_after(call) < CANCEL_BOUND
                cancelled = time.perf_counter()
                await until(lambda: not db.running(), within=STOP_BOUND)
            await mem.get(db.id)
            assert time.perf_counter() - cancelled < RECLAIM_BOUND
            assert db.connections() == 1
        await until(lambda: not db.connections(), within=1)
        db.check_audited()

    run(main())


@pytest.mark.parametrize("verb", VERBS)
def test_while_the_pool_is_exhausted(db: Database, verb: str) -> None:
    async def main() -> None:
        async with db.async_open(pool_max_size=1) as mem:
            with db.locked():
                busy = asyncio.create_task(mem.list(USER))
                await until(lambda: db.waiting() == 1, within=5)
                call = asyncio.ensure_future(VERBS[verb](mem, db.id))
                await asyncio.sleep(0.02)
                assert await cancelled_after(call) < CANCEL_BOUND
                assert db.connections() == 1
            await busy
            await mem.get(db.id)
            await check_all_slots(db, mem, 1)
        db.check_audited()

    run(main())


@pytest.mark.parametrize("verb", VERBS)
def test_while_the_network_is_frozen(db: Database, proxy: Proxy, verb: str) -> None:
    async def main() -> None:
        async with db.async_open(url=db.through(proxy.port), pool_max_size=1) as mem:
            proxy.freeze()
            call = asyncio.ensure_future(VERBS[verb](mem, db.id))
            await asyncio.sleep(0.03)
            assert not call.done()
            assert await cancelled_after(call) < CANCEL_BOUND
            await asyncio.sleep(RECLAIM_BOUND - 0.05)
            proxy.thaw()
            async with asyncio.timeout(RECLAIM_BOUND):
                await mem.list(USER)
            await until(lambda: db.connections() == 1 and not db.running(), within=STOP_BOUND)
            await check_all_slots(db, mem, 1)
        db.check_audited()

    run(main())


def test_a_query_is_stopped_over_a_network_slower_than_the_pool_waits(db: Database, proxy: Proxy) -> None:
    async def main() -> None:
        async with db.async_open(url=db.through(proxy.port), pool_max_size=1) as mem:
            with db.locked():
                call = asyncio.create_task(mem.list(USER))
                await until(lambda: db.waiting() == 1, within=5)
                proxy.delay(0.25)
                assert await cancelled_after(call) < CANCEL_BOUND
                await until(lambda: not db.running(), within=STOP_BOUND)
            proxy.delay(0)
            await mem.get(db.id)

    run(main())


def test_while_connecting(db: Database, proxy: Proxy) -> None:
    async def main() -> None:
        mem = db.async_open(url=db.through(proxy.port), pool_max_size=1)
        proxy.freeze()
        first, second = (asyncio.create_task(mem.get(db.id)) for _ in range(2))
        await until(lambda: proxy.connections == 1, within=5)
        assert await cancelled_after(first) < CANCEL_BOUND
        proxy.thaw()
        assert (await second).id == db.id
        await check_all_slots(db, mem, 1)
        await mem.close()

    run(main())


def test_while_another_process_creates_the_tables(database: str) -> None:
    view = psycopg.connect(database, autocommit=True)
    waiting = "SELECT FROM pg_stat_activity WHERE application_name = 'subject' AND wait_event = 'advisory'"

    async def main() -> None:
        mem = AsyncMemory(url=f"{database}?application_name=subject", embedder=HashingEmbedder())
        with psycopg.connect(database) as other:
            other.execute("SELECT pg_advisory_xact_lock(hashtextextended('openmem:openmem', 0))")
            call = asyncio.create_task(mem.list(USER))
            await until(lambda: view.execute(waiting).rowcount == 1, within=5)
            assert await cancelled_after(call) < CANCEL_BOUND
            await until(lambda: view.execute(waiting).rowcount == 0, within=STOP_BOUND)
        assert (await mem.list(USER)).items == []
        await mem.close()

    with view:
        run(main())


class SlowEmbedder(HashingEmbedder):
    """An embedder that blocks its thread until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        self.entered.set()
        self.go_on.wait(10)
        return super().embed(texts)


@pytest.mark.parametrize("verb", ["add", "update", "search", "context"])
def test_while_embedding(db: Database, verb: str, caplog: pytest.LogCaptureFixture) -> None:
    embedder = SlowEmbedder()

    async def main() -> None:
        async with db.async_open(embedder=embedder) as mem:
            embedder.go_on.clear()
            embedder.entered.clear()
            call = asyncio.ensure_future(VERBS[verb](mem, db.id))
            await until(embedder.entered.is_set, within=5)
            assert db.running() == 0
            assert await cancelled_after(call) < CANCEL_BOUND
            embedder.go_on.set()
            await VERBS[verb](mem, db.id)
        db.check_audited()

    with caplog.at_level(logging.DEBUG, "openmem"):
        run(main())
    assert "a cancelled call went on in its thread" in caplog.text


def test_while_an_asynchronous_embedder_runs(db: Database) -> None:
    class Endless(HashingEmbedder):
        async def aembed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
            await asyncio.sleep(60)
            raise AssertionError

    async def main() -> None:
        async with db.async_open(embedder=Endless()) as mem:
            call = asyncio.create_task(mem.search("tea", USER))
            await asyncio.sleep(0.01)
            assert await cancelled_after(call) < CANCEL_BOUND
            await mem.get(db.id)

    run(main())


def test_while_entering(db: Database, proxy: Proxy) -> None:
    async def enter() -> None:
        async with db.async_open(url=db.through(proxy.port)):
            raise AssertionError

    async def main() -> None:
        proxy.freeze()
        call = asyncio.create_task(enter())
        await until(lambda: proxy.connections == 1, within=5)
        assert await cancelled_after(call) < CANCEL_BOUND
        proxy.thaw()
        await until(lambda: proxy.connections == 0 and db.connections() == 0, within=2)

    run(main())


def test_while_entering_with_a_query_under_way(db: Database, proxy: Proxy) -> None:
    async def enter() -> None:
        async with db.async_open(url=db.through(proxy.port)):
            raise AssertionError

    async def main() -> None:
        with psycopg.connect(db.url.partition("?")[0]) as blocker:
            blocker.execute("LOCK TABLE openmem.migrations IN ACCESS EXCLUSIVE MODE")
            call = asyncio.create_task(enter())
            await until(lambda: db.waiting() == 1, within=5)
            proxy.freeze()
            assert await cancelled_after(call) < CANCEL_BOUND
            await until(lambda: len(asyncio.all_tasks()) == 1, within=4)
            proxy.thaw()
            await until(lambda: not db.connections(), within=STOP_BOUND)

    run(main())


def test_while_closing(db: Database) -> None:
    async def main() -> None:
        mem = await db.async_open().__aenter__()
        with db.locked():
            call = asyncio.create_task(mem.list(USER))
            await until(lambda: db.waiting() == 1, within=5)
            closing = asyncio.create_task(mem.close())
            await asyncio.sleep(0.01)
            assert await cancelled_after(closing) < CANCEL_BOUND
            with pytest.raises(ProviderError) as caught:
                await call
            assert caught.value.code == "provider_unavailable"
        await until(lambda: not db.connections() and asyncio.all_tasks() == {asyncio.current_task()}, within=1)

    run(main())


def test_while_closing_over_a_frozen_network(db: Database, proxy: Proxy) -> None:
    async def main() -> None:
        mem = await db.async_open(url=db.through(proxy.port), pool_min_size=3).__aenter__()
        proxy.freeze()
        closing = asyncio.create_task(mem.close())
        await asyncio.sleep(0.01)
        assert await cancelled_after(closing) < CANCEL_BOUND
        proxy.thaw()
        await until(lambda: not db.connections(), within=1)

    run(main())


def test_timeout_and_wait_for_end_a_stuck_verb(db: Database) -> None:
    async def main() -> None:
        async with db.async_open(pool_max_size=2) as mem:
            with db.locked():
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await mem.search("tea", USER)
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(mem.search("tea", USER), 0.05)
                await until(lambda: not db.running(), within=STOP_BOUND)
            await check_all_slots(db, mem, 2)

    run(main())


def test_a_zero_wait_for_never_loses_a_connection(db: Database) -> None:
    async def main() -> None:
        async with db.async_open(pool_max_size=2) as mem:
            for step in range(60):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(mem.get(db.id), step / 20_000)
            await check_all_slots(db, mem, 2)

    run(main())


def test_a_task_group_cancels_the_siblings_of_a_failed_verb(db: Database) -> None:
    async def fail_beside(mem: AsyncMemory, siblings: list[asyncio.Task[object]]) -> None:
        async with asyncio.TaskGroup() as group:
            siblings += [group.create_task(mem.search("tea", USER)) for _ in range(5)]
            await until(lambda: db.waiting() == 3, within=5)
            group.create_task(mem.search("", USER))

    async def main() -> None:
        async with db.async_open(pool_max_size=3) as mem:
            with db.locked():
                siblings: list[asyncio.Task[object]] = []
                with pytest.raises(ExceptionGroup) as caught:
                    await fail_beside(mem, siblings)
                assert caught.group_contains(Exception, match="query")
                assert all(task.cancelled() for task in siblings)
                await until(lambda: not db.running(), within=STOP_BOUND)
            await check_all_slots(db, mem, 3)

    run(main())


def test_a_cancelled_gather_cancels_all_its_verbs(db: Database) -> None:
    async def main() -> None:
        async with db.async_open(pool_max_size=3) as mem:
            with db.locked():
                both = asyncio.gather(*(mem.get(db.id) for _ in range(6)))
                await until(lambda: db.waiting() == 3, within=5)
                assert await cancelled_after(both) < CANCEL_BOUND
                await until(lambda: not db.running(), within=STOP_BOUND)
            await check_all_slots(db, mem, 3)

    run(main())


def test_five_hundred_cancellations_at_random_moments(db: Database) -> None:
    chance = random.Random(20)

    async def cancel_at_random(mem: AsyncMemory, verb: str) -> bool:
        call = asyncio.ensure_future(VERBS[verb](mem, db.id))
        await asyncio.sleep(chance.uniform(0, 0.02))
        call.cancel()
        try:
            await call
        except asyncio.CancelledError:
            return True
        return False

    async def main() -> None:
        async with db.async_open(pool_max_size=3) as mem:
            verbs = [verb for verb in VERBS if verb != "delete"]
            cancelled = 0
            for _ in range(25):
                calls = (cancel_at_random(mem, chance.choice(verbs)) for _ in range(20))
                cancelled += sum(await asyncio.gather(*calls))
                assert db.connections() <= 3
            assert cancelled > 100
            # Whoever takes a lock for the check waits for these, and holds up the loop that ends them.
            await until(lambda: not db.in_transactions(), within=STOP_BOUND)
            await check_all_slots(db, mem, 3)
            for verb in VERBS.values():
                await verb(mem, db.id)
        db.check_audited()

    run(main())
