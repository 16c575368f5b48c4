"""Instances of one event loop that share connections and an embedder."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import psycopg
import pytest

from openmem import AsyncMemory, ProviderError
from openmem.drivers import sharing
from openmem.embedders.hashing import HashingEmbedder
from openmem.ports.models import Vectors

from ..proxy import Proxy
from .harness import CANCEL_BOUND, USER, Database, cancelled_after, run, until, until_blocking

REQUESTS = 50


def sessions(db: Database) -> int:
    """The connections that the database has had, those that are still open excepted."""
    return db.ask("SELECT sessions FROM pg_stat_database WHERE datname = current_database()")


async def until_closed(db: Database) -> None:
    """Wait until the connections are closed, and with them whatever closed them."""
    await until(lambda: not db.connections() and len(asyncio.all_tasks()) == 1, within=sharing.IDLE_SECONDS + 1)


async def one_request(db: Database, **settings: Any) -> None:
    async with db.async_open(**settings) as mem:
        await mem.get(db.id)


def opened_by(db: Database, main: Callable[[], Awaitable[object]]) -> int:
    """How many connections something opens on a loop of its own, all of which are gone with the loop."""

    async def until_gone() -> None:
        await main()

    before = sessions(db)
    run(until_gone())
    until_blocking(lambda: not db.connections(), within=1)
    return sessions(db) - before


def test_requests_one_after_another_share_a_connection(db: Database) -> None:
    async def main() -> None:
        for _ in range(REQUESTS):
            await asyncio.create_task(one_request(db))
        assert db.connections() == 1

    # Only the second shows that there are more to come.
    assert opened_by(db, main) == 2


def test_requests_at_once_share_the_bound(db: Database) -> None:
    most = 0

    async def request() -> None:
        nonlocal most
        await one_request(db, pool_max_size=3)
        most = max(most, db.connections())

    async def main() -> None:
        for _ in range(3):
            await asyncio.gather(*(request() for _ in range(32)))

    assert opened_by(db, main) <= 3
    assert 0 < most <= 3


def test_instances_of_one_task_are_closed_when_close_returns(db: Database) -> None:
    async def main() -> None:
        for _ in range(5):
            await one_request(db)
            await until(lambda: not db.connections(), within=sharing.IDLE_SECONDS / 2)

    assert opened_by(db, main) == 5


def test_shared_connections_are_closed_soon_after_the_last_instance(db: Database) -> None:
    async def main() -> None:
        await asyncio.gather(*(one_request(db) for _ in range(4)))
        assert db.connections() > 0
        await until_closed(db)
        await one_request(db)

    run(main())


def test_a_kept_connection_serves_an_instance_that_comes_in_time(db: Database) -> None:
    async def main() -> None:
        async with db.async_open():
            await asyncio.create_task(one_request(db))
        # Longer than one wait in all: each instance that comes begins it anew.
        for _ in range(5):
            await asyncio.sleep(sharing.IDLE_SECONDS / 3)
            await asyncio.create_task(one_request(db))

    assert opened_by(db, main) == 1


@pytest.mark.parametrize("settings", [{"pool_max_size": 4}, {"timeout": 7.0}, {"pool_timeout": 7.0}])
def test_other_settings_have_other_connections(db: Database, settings: dict[str, Any]) -> None:
    async def main() -> None:
        async with db.async_open() as one, db.async_open() as same, db.async_open(**settings) as other:
            await asyncio.gather(one.get(db.id), same.get(db.id), other.get(db.id))
            assert other.client.provider.pool_usage() == (0, 1)

    assert opened_by(db, main) <= 3


def test_what_is_not_of_the_connection_is_each_instances_own(db: Database) -> None:
    async def main() -> None:
        async with (
            db.async_open(app="one", grants=["read:*"]) as reader,
            db.async_open(app="two", audit="off") as writer,
            db.async_open(schema="elsewhere") as elsewhere,
        ):
            await writer.add(content="green tea", user_id=USER)
            assert len(await reader.search("tea", USER)) == 2
            assert await elsewhere.search("tea", USER) == []
            assert [(entry.app, entry.action) for entry in await writer.audit(USER)] == [
                ("one", "search"),
                (None, "add"),
            ]
            assert db.connections() <= 2

    run(main())


def test_each_loop_has_connections_of_its_own(db: Database) -> None:
    both = threading.Barrier(2, timeout=10)

    async def main() -> None:
        async with db.async_open() as mem:
            await mem.get(db.id)
            await asyncio.to_thread(both.wait)
            assert db.connections() == 2
            await asyncio.to_thread(both.wait)

    failures: list[BaseException] = []

    def elsewhere() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            failures.append(error)
            raise

    thread = threading.Thread(target=elsewhere)
    thread.start()
    run(main())
    thread.join()
    assert not failures


def test_closing_one_does_not_disturb_the_others(db: Database) -> None:
    async def main() -> None:
        async with db.async_open(pool_max_size=3) as stays:
            leaves = await db.async_open(pool_max_size=3).__aenter__()
            with db.locked():
                breaking = [asyncio.create_task(leaves.get(db.id)) for _ in range(4)]
                await until(lambda: db.waiting() == 3, within=5)
                waiting = [asyncio.create_task(stays.get(db.id)) for _ in range(4)]
                await asyncio.sleep(0.01)
                await leaves.close()
                for outcome in await asyncio.gather(*breaking, return_exceptions=True):
                    assert isinstance(outcome, ProviderError)
                    assert "the client was closed while this call ran" in str(outcome)
                await until(lambda: db.waiting() == 3, within=5)
                assert not any(call.done() for call in waiting)
            assert [record.id for record in await asyncio.gather(*waiting)] == [db.id] * 4
            with pytest.raises(RuntimeError, match=r"^AsyncMemory is closed$"):
                await leaves.get(db.id)

    run(main())
    until_blocking(lambda: not db.connections(), within=1)


def test_a_call_about_to_end_is_waited_for_while_others_go_on(db: Database) -> None:
    async def main() -> None:
        async with db.async_open() as stays:
            leaves = await db.async_open().__aenter__()
            with db.locked():
                call = asyncio.create_task(leaves.get(db.id))
                await until(lambda: db.waiting() == 1, within=5)
                closing = asyncio.create_task(leaves.close())
                await asyncio.sleep(0.05)
                assert not closing.done()
            assert (await call).id == db.id
            await closing
            await stays.get(db.id)

    run(main())


def test_a_cancelled_close_has_left(db: Database) -> None:
    async def main() -> None:
        async with db.async_open() as stays:
            leaves = await db.async_open().__aenter__()
            with db.locked():
                call = asyncio.create_task(leaves.get(db.id))
                await until(lambda: db.waiting() == 1, within=5)
                closing = asyncio.create_task(leaves.close())
                await asyncio.sleep(0.05)
                assert await cancelled_after(closing) < CANCEL_BOUND
                with pytest.raises(ProviderError, match="the client was closed"):
                    await call
            await stays.get(db.id)
        await until(lambda: not db.connections(), within=1)

    run(main())


def test_the_end_of_the_loop_closes_what_nobody_closed(db: Database) -> None:
    async def main() -> None:
        await db.async_open(pool_min_size=2).__aenter__()
        assert db.connections() == 2

    before = len(sharing._shared.get())
    run(main())
    assert len(sharing._shared.get()) <= before
    until_blocking(lambda: not db.connections(), within=1)


def test_an_instance_that_is_dropped_takes_its_connections_along(db: Database) -> None:
    async def main() -> None:
        await one_request(db)
        mem = db.async_open()
        await mem.get(db.id)
        del mem
        gc.collect()
        await until_closed(db)

    asyncio.run(main())


def test_a_loop_run_by_hand_that_ends_its_generators(db: Database) -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(requests_at_once(db))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    until_blocking(lambda: not db.connections(), within=1)


def test_a_loop_run_by_hand_and_closed_at_once(db: Database) -> None:
    before = len(sharing._shared.get())
    loop = asyncio.new_event_loop()
    loop.run_until_complete(requests_at_once(db))
    loop.close()
    del loop
    with pytest.warns(ResourceWarning, match="unclosed"):
        gc.collect()
    assert len(sharing._shared.get()) <= before
    until_blocking(lambda: not db.connections(), within=1)


def test_a_script_on_a_loop_run_by_hand_leaves_nothing(db: Database) -> None:
    async def main() -> None:
        for _ in range(3):
            await one_request(db)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
    until_blocking(lambda: not db.connections(), within=1)


async def requests_at_once(db: Database) -> None:
    await asyncio.gather(*(one_request(db) for _ in range(4)))
    assert db.connections() > 0


def test_an_instance_that_cannot_open_leaves_the_others_alone(db: Database, proxy: Proxy) -> None:
    async def main() -> None:
        url = db.through(proxy.port)
        proxy.refuse()
        outcomes = await asyncio.gather(*(one_request(db, url=url) for _ in range(3)), return_exceptions=True)
        assert all(isinstance(outcome, ProviderError) for outcome in outcomes)
        proxy.accept()
        async with db.async_open(url=url) as stays:
            await stays.get(db.id)
            with pytest.raises(ProviderError, match="made by a newer openmem"):
                await one_request(db, url=url, schema="future")
            await stays.get(db.id)

    with psycopg.connect(db.url, autocommit=True) as admin:
        admin.execute("CREATE SCHEMA future")
        admin.execute("CREATE TABLE future.migrations (version int)")
        admin.execute("INSERT INTO future.migrations VALUES (1000)")
    run(main())


def test_a_cancelled_opening_leaves_the_others_alone(db: Database, proxy: Proxy) -> None:
    async def main() -> None:
        url = db.through(proxy.port)
        proxy.freeze()
        requests = [asyncio.create_task(one_request(db, url=url, pool_max_size=2)) for _ in range(6)]
        await until(lambda: proxy.connections == 2, within=5)
        for request in requests[::2]:
            assert await cancelled_after(request) < CANCEL_BOUND
        proxy.thaw()
        await asyncio.gather(*requests[1::2])
        assert db.connections() <= 2
        await until_closed(db)

    run(main())


def test_tables_that_vanish_are_made_anew_by_the_next_instance(database: str) -> None:
    async def main() -> None:
        def make() -> AsyncMemory:
            return AsyncMemory(url=database, embedder=HashingEmbedder())

        async with make() as first:
            await first.add(content="tea", user_id=USER)
            async with make() as second:
                assert len((await second.list(USER)).items) == 1
            with psycopg.connect(database, autocommit=True) as admin:
                admin.execute("DROP SCHEMA openmem CASCADE")
            with pytest.raises(ProviderError, match="does not exist"):
                await first.list(USER)
            async with make() as third:
                assert (await third.list(USER)).items == []
            assert (await first.list(USER)).items == []

    run(main())


def test_an_instance_beside_another_opens_without_asking_the_server(db: Database, proxy: Proxy) -> None:
    async def main() -> None:
        url = db.through(proxy.port)
        async with db.async_open(url=url):
            proxy.freeze()
            async with db.async_open(url=url, app="another"):
                proxy.thaw()
            assert proxy.connections == 1

    run(main())


class Counting(HashingEmbedder):
    """Counts how often it is loaded, and the threads it is called in."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded = 0
        self.threads: set[str] = set()
        self.calls = 0

    def warm_up(self) -> None:
        self.loaded += 1

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.calls += 1
        self.threads.add(threading.current_thread().name)
        return super().embed(texts)


def test_requests_share_the_threads_of_their_embedder(db: Database) -> None:
    embedder = Counting()

    async def request() -> None:
        async with db.async_open(embedder=embedder, executor_max_workers=2) as mem:
            await mem.search("tea", USER)

    async def main() -> None:
        async with db.async_open(embedder=embedder, executor_max_workers=2):
            await asyncio.gather(*(request() for _ in range(32)))
            assert embedder.loaded == 1
            assert len(embedder.threads) <= 2
            assert embedder.calls < 32

    run(main())


def test_requests_share_the_threads_that_put_their_contexts_together(db: Database) -> None:
    threads: set[threading.Thread] = set()

    def counter(text: str) -> int:
        threads.add(threading.current_thread())
        return len(text)

    async def request() -> None:
        async with db.async_open(token_counter=counter) as mem:
            await mem.context("tea", USER)

    async def main() -> None:
        async with db.async_open(token_counter=counter) as mem:
            await mem.context("tea", USER)
            await asyncio.gather(*(request() for _ in range(32)))
            for _ in range(8):
                await request()
            assert 1 <= len(threads) <= 4
            assert threading.main_thread() not in threads
        await until_closed(db)
        await until(lambda: not any(thread.is_alive() for thread in threads), within=1)

    run(main())
