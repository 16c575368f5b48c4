"""Servers and networks that fail: what callers see, what is kept, and how soon all works again."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from openmem import AsyncMemory, InvalidRequestError, Memory, ProviderError, UnauthorizedError
from openmem.drivers.postgres import asyncpg_connection
from openmem.embedders.hashing import HashingEmbedder

from ..proxy import Proxy
from ..servers import Server
from .harness import STOP_BOUND, USER, Database, run, until, until_blocking

BACK_BOUND = 2.0

Outage = Callable[[Server], None]
OUTAGES: dict[str, Outage] = {
    "restarted": lambda server: server.stop("fast"),
    "stopped at once": lambda server: server.stop("immediate"),
    "crashed": lambda server: server.crash(),
}


@pytest.fixture(scope="module")
def victim() -> Iterator[Server]:
    """A server that tests may stop."""
    server = Server()
    server.start()
    try:
        yield server
    finally:
        server.remove()


class Load:
    """What the callers of one client saw during an outage."""

    def __init__(self) -> None:
        self.acknowledged: list[str] = []
        self.moments: list[float] = []
        self.failures: list[BaseException] = []

    def stored(self, id: str) -> None:
        self.acknowledged.append(id)
        self.moments.append(time.perf_counter())

    def check(self, url: str, returned: float) -> None:
        """Nothing acknowledged is lost, every failure is clear, and work went on in time."""
        with psycopg.connect(url) as connection:
            kept = {row[0] for row in connection.execute("SELECT id FROM openmem.memories")}
        assert kept.issuperset(self.acknowledged)
        assert self.failures
        for failure in self.failures:
            check_unavailable(failure)
            assert failure.__cause__ is not None
        assert min(moment for moment in self.moments if moment > returned) - returned < BACK_BOUND


def check_unavailable(error: BaseException) -> None:
    """The error is openmem's, says that a retry may help, and shows no secret."""
    assert isinstance(error, ProviderError)
    assert error.code == "provider_unavailable"
    assert "secret" not in str(error)


@pytest.mark.parametrize("kind", OUTAGES)
def test_an_outage_under_load(victim: Server, kind: str) -> None:
    load = Load()
    url = victim.create_database()

    async def add_for_ever(mem: AsyncMemory, done: asyncio.Event) -> None:
        while not done.is_set():
            try:
                load.stored((await mem.add(content="tea", user_id=USER)).id)
            except ProviderError as error:
                load.failures.append(error)
                await asyncio.sleep(0.01)

    async def main() -> float:
        done = asyncio.Event()
        async with AsyncMemory(url=url, embedder=HashingEmbedder(), pool_max_size=4) as mem:
            tasks = [asyncio.create_task(add_for_ever(mem, done)) for _ in range(6)]
            await until(lambda: len(load.acknowledged) >= 50, within=5)
            await asyncio.to_thread(OUTAGES[kind], victim)
            await asyncio.to_thread(victim.start)
            returned = time.perf_counter()
            await until(lambda: load.moments[-1] > returned, within=BACK_BOUND)
            done.set()
            await asyncio.gather(*tasks)
        return returned

    load.check(url, run(main()))


@pytest.mark.parametrize("kind", OUTAGES)
def test_an_outage_under_blocking_load(victim: Server, kind: str) -> None:
    load = Load()
    url = victim.create_database()
    done = threading.Event()

    def add_for_ever(mem: Memory) -> None:
        while not done.is_set():
            try:
                load.stored(mem.add(content="tea", user_id=USER).id)
            except Exception as error:  # noqa: BLE001 - all that callers see is collected and judged
                load.failures.append(error)
                time.sleep(0.01)

    with Memory(url=url, embedder=HashingEmbedder(), pool_max_size=4) as mem:
        threads = [threading.Thread(target=add_for_ever, args=(mem,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        try:
            until_blocking(lambda: len(load.acknowledged) >= 50, within=5)
            OUTAGES[kind](victim)
            victim.start()
            returned = time.perf_counter()
            until_blocking(lambda: load.moments[-1] > returned, within=BACK_BOUND)
        finally:
            done.set()
            for thread in threads:
                thread.join()
    load.check(url, returned)


def test_connections_that_died_while_idle_are_replaced(db: Database, proxy: Proxy) -> None:
    async def main() -> None:
        async with db.async_open(url=db.through(proxy.port), pool_max_size=2) as mem:
            proxy.cut()
            await asyncio.sleep(0.02)
            assert (await mem.get(db.id)).id == db.id

    run(main())
    with db.open(url=db.through(proxy.port), pool_max_size=2) as mem:
        proxy.cut()
        assert mem.get(db.id).id == db.id


def test_a_connection_cut_in_the_middle_of_a_call(db: Database, proxy: Proxy) -> None:
    async def main() -> None:
        async with db.async_open(url=db.through(proxy.port), pool_max_size=1) as mem:
            with db.locked():
                call = asyncio.create_task(mem.get(db.id))
                await until(lambda: db.waiting() == 1, within=5)
                proxy.cut()
                with pytest.raises(ProviderError) as caught:
                    await call
                check_unavailable(caught.value)
                assert caught.value.__cause__ is not None
                await until(lambda: not db.running(), within=STOP_BOUND)
            await mem.get(db.id)

    run(main())


def test_a_connection_cut_in_the_middle_of_a_blocking_call(db: Database, proxy: Proxy) -> None:
    def cut() -> None:
        until_blocking(lambda: db.waiting() == 1, within=5)
        proxy.cut()

    with db.open(url=db.through(proxy.port), pool_max_size=1) as mem:
        with db.locked():
            cutter = threading.Thread(target=cut)
            cutter.start()
            with pytest.raises(ProviderError) as caught:
                mem.get(db.id)
            cutter.join()
            check_unavailable(caught.value)
            assert caught.value.__cause__ is not None
            until_blocking(lambda: not db.running(), within=STOP_BOUND)
        mem.get(db.id)


def test_an_exhausted_pool_is_an_error_in_time(db: Database) -> None:
    async def main() -> None:
        async with db.async_open(pool_max_size=1, pool_timeout=0.2) as mem:
            with db.locked():
                busy = asyncio.create_task(mem.get(db.id))
                await until(lambda: db.waiting() == 1, within=5)
                asked = time.perf_counter()
                with pytest.raises(ProviderError, match="raise pool_max_size") as caught:
                    await mem.get(db.id)
                assert 0.2 <= time.perf_counter() - asked < 0.7
                check_unavailable(caught.value)
            await busy
            await mem.get(db.id)

    run(main())


def test_an_exhausted_blocking_pool_is_an_error_in_time(db: Database) -> None:
    with db.open(pool_max_size=1, pool_timeout=0.2) as mem:
        with db.locked():
            busy = threading.Thread(target=mem.get, args=(db.id,))
            busy.start()
            until_blocking(lambda: db.waiting() == 1, within=5)
            asked = time.perf_counter()
            with pytest.raises(ProviderError, match="raise pool_max_size") as caught:
                mem.get(db.id)
            assert 0.2 <= time.perf_counter() - asked < 0.7
            check_unavailable(caught.value)
        busy.join()
        mem.get(db.id)


def test_a_server_that_comes_later(db: Database, proxy: Proxy) -> None:
    url = db.through(proxy.port).replace("postgres@", "postgres:secret@")
    proxy.refuse()

    async def main() -> None:
        mem = db.async_open(url=url)
        with pytest.raises(ProviderError, match="check that the server runs") as caught:
            await mem.get(db.id)
        check_unavailable(caught.value)
        assert caught.value.request_id
        assert caught.value.__cause__ is not None
        proxy.accept()
        await mem.get(db.id)
        await mem.close()

    run(main())
    proxy.refuse()
    mem = db.open(url=url)
    with pytest.raises(ProviderError, match="check that the server runs") as caught:
        mem.get(db.id)
    check_unavailable(caught.value)
    proxy.accept()
    mem.get(db.id)
    mem.close()


def test_connecting_to_a_dead_server_is_bounded_for_all_who_wait(db: Database, proxy: Proxy) -> None:
    proxy.freeze()

    async def main() -> None:
        mem = db.async_open(url=db.through(proxy.port) + "&connect_timeout=1")
        asked = time.perf_counter()
        outcomes = await asyncio.gather(*(mem.get(db.id) for _ in range(5)), return_exceptions=True)
        assert 0.9 < time.perf_counter() - asked < 2
        for outcome in outcomes:
            assert isinstance(outcome, ProviderError)
            check_unavailable(outcome)
        assert len({id(outcome) for outcome in outcomes}) == 5
        proxy.thaw()
        await mem.get(db.id)
        await mem.close()

    run(main())


def test_connecting_to_a_dead_server_is_bounded_for_all_threads(db: Database, proxy: Proxy) -> None:
    proxy.freeze()
    mem = db.open(url=db.through(proxy.port) + "&connect_timeout=2")
    outcomes: list[ProviderError] = []

    def ask() -> None:
        with pytest.raises(ProviderError) as caught:
            mem.get(db.id)
        outcomes.append(caught.value)

    asked = time.perf_counter()
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1.9 < time.perf_counter() - asked < 3
    assert len(outcomes) == 3
    for outcome in outcomes:
        check_unavailable(outcome)
    proxy.thaw()
    mem.get(db.id)
    mem.close()


def test_a_frozen_server_is_given_up_after_timeout(db: Database, proxy: Proxy) -> None:
    url = db.through(proxy.port)

    async def main() -> None:
        async with db.async_open(url=url, timeout=0.3, pool_max_size=1) as mem:
            proxy.freeze()
            asked = time.perf_counter()
            with pytest.raises(ProviderError, match=r"no answer within 0\.3 s") as caught:
                await mem.get(db.id)
            assert 0.3 <= time.perf_counter() - asked < 0.5
            check_unavailable(caught.value)
            proxy.thaw()
            await mem.get(db.id)

    run(main())
    with db.open(url=url, timeout=0.3, pool_max_size=1) as mem:
        proxy.freeze()
        asked = time.perf_counter()
        with pytest.raises(ProviderError, match=r"no answer within 0\.3 s") as caught:
            mem.get(db.id)
        assert 0.3 <= time.perf_counter() - asked < 1.5
        check_unavailable(caught.value)
        proxy.thaw()
        mem.get(db.id)


@pytest.mark.parametrize("silence", [0.05, 2.0], ids=["silent before the limit", "limit before that"])
def test_a_statement_given_up_after_timeout_is_stopped(
    db: Database, silence: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncpg_connection, "SILENCE_SECONDS", silence)

    async def main() -> None:
        async with db.async_open(timeout=0.2, pool_max_size=1) as mem:
            with db.locked():
                with pytest.raises(ProviderError, match="no answer within"):
                    await mem.add(content="tea", user_id=USER)
                await until(lambda: not db.running(), within=STOP_BOUND)
            await mem.get(db.id)

    run(main())
    with db.open(timeout=0.2, pool_max_size=1) as mem:
        with db.locked():
            with pytest.raises(ProviderError, match="no answer within"):
                mem.add(content="tea", user_id=USER)
            until_blocking(lambda: not db.running(), within=STOP_BOUND)
        mem.get(db.id)
    db.check_audited()


def test_timeout_also_bounds_connecting(db: Database, proxy: Proxy) -> None:
    proxy.freeze()

    async def main() -> None:
        mem = db.async_open(url=db.through(proxy.port), timeout=0.3)
        asked = time.perf_counter()
        with pytest.raises(ProviderError) as caught:
            await mem.get(db.id)
        assert time.perf_counter() - asked < 1
        check_unavailable(caught.value)
        await mem.close()

    run(main())


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (("postgres@", "nobody@"), UnauthorizedError, "refused the login"),
        (("/t_", "/no_t_"), ProviderError, "create the database"),
        (("@127", ":secret/@127"), InvalidRequestError, "percent-encode"),
    ],
)
def test_a_wrong_url_is_explained_alike_in_both_clients(
    db: Database, change: tuple[str, str], kind: type[Exception], message: str
) -> None:
    url = db.url.replace(*change)

    async def main() -> None:
        with pytest.raises(kind, match=message) as caught:
            async with db.async_open(url=url):
                raise AssertionError
        assert "secret" not in str(caught.value)

    run(main())
    with pytest.raises(kind, match=message) as caught, db.open(url=url):
        raise AssertionError
    assert "secret" not in str(caught.value)
