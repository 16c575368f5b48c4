"""Opening, sharing and closing clients."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine
from typing import Any

import psycopg
import pytest

from openmem import AsyncMemory, Memory, ProviderError
from openmem.embedders.hashing import HashingEmbedder

from ..proxy import Proxy
from .harness import USER, VERBS, Database, run, until, until_blocking

CLOSE_BOUND = 4.0
OTHER_LOOP = r"^AsyncMemory is bound to a different event loop$"


def test_the_constructor_takes_little_work_and_does_no_input_or_output() -> None:
    script = """
import sys, time
from openmem import AsyncMemory
touched = []
sys.addaudithook(lambda event, _: touched.append(event) if event.startswith("socket.") else None)
began = time.process_time()
AsyncMemory(url="postgresql://nobody@192.0.2.1/nowhere")
took = time.process_time() - began
heavy = {"asyncpg", "psycopg", "httpx", "wordllama", "numpy"} & set(sys.modules)
assert not heavy, heavy
assert not touched, touched
print(took)
"""
    took = min(float(subprocess.check_output([sys.executable, "-c", script])) for _ in range(3))
    assert took < 0.005


def test_entering_opens_and_leaving_closes_also_on_an_exception(db: Database) -> None:
    async def fail_inside(mem: AsyncMemory) -> None:
        async with mem:
            assert db.connections() == 3
            raise LookupError

    async def main() -> None:
        mem = db.async_open(pool_min_size=3)
        with pytest.raises(LookupError):
            await fail_inside(mem)
        await until(lambda: not db.connections(), within=1)
        with pytest.raises(RuntimeError, match=r"^AsyncMemory is closed$"):
            await mem.get(db.id)

    run(main())


def test_entering_opens_and_leaving_closes_a_blocking_client_too(db: Database) -> None:
    def fail_inside(mem: Memory) -> None:
        with mem:
            assert db.connections() == 3
            raise LookupError

    mem = db.open(pool_min_size=3)
    with pytest.raises(LookupError):
        fail_inside(mem)
    until_blocking(lambda: not db.connections(), within=1)
    with pytest.raises(RuntimeError, match=r"^Memory is closed$"):
        mem.get(db.id)


@pytest.mark.parametrize("verb", VERBS)
def test_a_closed_client_refuses_every_verb(db: Database, verb: str) -> None:
    async def main() -> None:
        mem = db.async_open()
        await mem.get(db.id)
        await mem.close()
        await mem.close()
        with pytest.raises(RuntimeError, match=r"^AsyncMemory is closed$"):
            await VERBS[verb](mem, db.id)
        await until(lambda: not db.connections(), within=1)

    run(main())


def test_a_closed_client_cannot_be_entered_again(db: Database) -> None:
    async def main() -> None:
        mem = db.async_open()
        await mem.close()
        with pytest.raises(RuntimeError, match=r"^AsyncMemory is closed$"):
            await mem.__aenter__()
        with pytest.raises(RuntimeError, match=r"^AsyncMemory is closed$"):
            await mem.capabilities()

    run(main())


@pytest.mark.parametrize("verb", VERBS)
def test_a_second_run_is_another_loop(db: Database, verb: str) -> None:
    mem = db.async_open()
    first = asyncio.new_event_loop()
    first.run_until_complete(mem.get(db.id))

    async def second() -> None:
        with pytest.raises(RuntimeError, match=OTHER_LOOP):
            await VERBS[verb](mem, db.id)
        with pytest.raises(RuntimeError, match=OTHER_LOOP):
            await mem.close()
        with pytest.raises(RuntimeError, match=OTHER_LOOP):
            await mem.__aenter__()

    logged = db.ask("SELECT count(*) FROM openmem.audit_log")
    asyncio.run(second())
    assert db.ask("SELECT count(*) FROM openmem.audit_log") == logged
    first.run_until_complete(mem.close())
    first.close()


def test_a_loop_at_the_same_address_is_another_loop(db: Database) -> None:
    mem = db.async_open()
    asyncio.run(mem.capabilities())
    for _ in range(50):
        with pytest.raises(RuntimeError, match=OTHER_LOOP):
            asyncio.run(verb(mem, db.id))


async def verb(mem: AsyncMemory, id: str) -> object:
    return await mem.get(id)


def test_another_thread_is_another_loop(db: Database) -> None:
    outcomes: list[BaseException] = []

    def elsewhere(call: Coroutine[Any, Any, object]) -> None:
        try:
            asyncio.run(call)
        except RuntimeError as error:
            outcomes.append(error)

    async def main() -> None:
        async with db.async_open() as mem:
            thread = threading.Thread(target=elsewhere, args=(verb(mem, db.id),))
            thread.start()
            await asyncio.to_thread(thread.join)
            assert [str(error) for error in outcomes] == ["AsyncMemory is bound to a different event loop"]
            await mem.get(db.id)

    run(main())


def test_many_first_verbs_open_once(database: str) -> None:
    opened = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'subject'"

    async def main() -> None:
        mem = AsyncMemory(
            url=f"{database}?application_name=subject", embedder=HashingEmbedder(), pool_min_size=2, pool_max_size=2
        )
        added = await asyncio.gather(*(mem.add(content=f"tea {n}", user_id=USER) for n in range(50)))
        assert len({record.id for record in added}) == 50
        with psycopg.connect(database) as view:
            row = view.execute(opened).fetchone()
            assert row == (2,)
        await mem.close()

    run(main())


def test_many_threads_first_verbs_open_once(database: str) -> None:
    mem = Memory(url=f"{database}?application_name=subject", embedder=HashingEmbedder(), pool_max_size=2)
    threads = [threading.Thread(target=mem.add, kwargs={"content": f"tea {n}", "user_id": USER}) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mem.list(USER).items) == 20
    mem.close()


def test_closing_waits_for_calls_that_are_about_to_end(db: Database) -> None:
    async def main() -> None:
        mem = await db.async_open(pool_max_size=2).__aenter__()
        with db.locked():
            calls = [asyncio.create_task(mem.get(db.id)) for _ in range(2)]
            await until(lambda: db.waiting() == 2, within=5)
            closing = asyncio.create_task(mem.close())
            await asyncio.sleep(0.05)
        assert [record.id for record in await asyncio.gather(*calls)] == [db.id, db.id]
        await closing
        await until(lambda: not db.connections(), within=1)

    run(main())


def test_closing_breaks_off_calls_that_hang(db: Database) -> None:
    async def main() -> None:
        mem = await db.async_open(pool_max_size=2).__aenter__()
        with db.locked():
            calls = [asyncio.create_task(mem.get(db.id)) for _ in range(5)]
            await until(lambda: db.waiting() == 2, within=5)
            asked = time.perf_counter()
            await mem.close()
            assert time.perf_counter() - asked < CLOSE_BOUND
            for outcome in await asyncio.gather(*calls, return_exceptions=True):
                assert isinstance(outcome, ProviderError)
                assert outcome.code == "provider_unavailable"
            await until(lambda: not db.connections(), within=1)

    run(main())


def test_closing_breaks_off_calls_of_other_threads_that_hang(db: Database) -> None:
    mem = db.open(pool_max_size=2).__enter__()
    outcomes: list[ProviderError] = []

    def ask() -> None:
        with pytest.raises(ProviderError) as caught:
            mem.get(db.id)
        outcomes.append(caught.value)

    with db.locked():
        threads = [threading.Thread(target=ask) for _ in range(5)]
        for thread in threads:
            thread.start()
        until_blocking(lambda: db.waiting() == 2, within=5)
        asked = time.perf_counter()
        mem.close()
        for thread in threads:
            thread.join()
        assert time.perf_counter() - asked < CLOSE_BOUND
        assert [error.code for error in outcomes] == ["provider_unavailable"] * 5
        until_blocking(lambda: not db.connections(), within=1)


def test_closing_while_the_first_verb_connects(db: Database, proxy: Proxy) -> None:
    async def main() -> None:
        mem = db.async_open(url=db.through(proxy.port))
        proxy.freeze()
        call = asyncio.create_task(mem.get(db.id))
        await until(lambda: proxy.connections == 1, within=5)
        asked = time.perf_counter()
        closing = asyncio.create_task(mem.close())
        await asyncio.sleep(0.1)
        proxy.thaw()
        await closing
        assert time.perf_counter() - asked < CLOSE_BOUND
        with pytest.raises(ProviderError, match="closed while"):
            await call
        await until(lambda: not db.connections(), within=1)

    run(main())


def test_closing_before_the_driver_is_loaded(db: Database) -> None:
    async def main() -> None:
        mem = db.async_open()
        call = asyncio.create_task(mem.get(db.id))
        await asyncio.sleep(0)
        await mem.close()
        with pytest.raises(ProviderError, match="closed while"):
            await call
        await until(lambda: not db.connections(), within=1)

    run(main())


def test_closing_while_a_call_embeds(db: Database) -> None:
    class Slow(HashingEmbedder):
        def embed(self, texts: Any) -> Any:
            entered.set()
            go_on.wait(10)
            return super().embed(texts)

    entered, go_on = threading.Event(), threading.Event()

    async def main() -> None:
        mem = db.async_open(embedder=Slow(), executor_max_workers=1)
        await mem.get(db.id)
        entered.clear()
        calls = [asyncio.create_task(mem.search("tea", USER)) for _ in range(3)]
        await until(entered.is_set, within=5)
        await mem.close()
        go_on.set()
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(outcome, ProviderError)
            assert outcome.code == "provider_unavailable"
        await until(lambda: not db.connections(), within=1)

    run(main())


@pytest.mark.parametrize("calls", [0, 2])
def test_closing_over_a_frozen_network_is_bounded(db: Database, proxy: Proxy, calls: int) -> None:
    async def main() -> None:
        mem = await db.async_open(url=db.through(proxy.port), pool_min_size=3).__aenter__()
        proxy.freeze()
        stuck = [asyncio.create_task(mem.get(db.id)) for _ in range(calls)]
        await asyncio.sleep(0.02)
        asked = time.perf_counter()
        await mem.close()
        assert time.perf_counter() - asked < CLOSE_BOUND
        for outcome in await asyncio.gather(*stuck, return_exceptions=True):
            assert isinstance(outcome, ProviderError)
        proxy.thaw()
        await until(lambda: not db.connections(), within=1)

    run(main())


def test_closing_a_blocking_client_over_a_frozen_network_is_bounded(db: Database, proxy: Proxy) -> None:
    mem = db.open(url=db.through(proxy.port), pool_min_size=3).__enter__()
    outcomes: list[ProviderError] = []

    def ask() -> None:
        with pytest.raises(ProviderError) as caught:
            mem.get(db.id)
        outcomes.append(caught.value)

    proxy.freeze()
    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    asked = time.perf_counter()
    mem.close()
    for thread in threads:
        thread.join()
    assert time.perf_counter() - asked < CLOSE_BOUND
    assert len(outcomes) == 2
    proxy.thaw()
    until_blocking(lambda: not db.connections(), within=1)


def test_a_client_that_was_never_used_closes(db: Database) -> None:
    run(db.async_open().close())
    db.open().close()


def test_one_client_per_request(db: Database) -> None:
    async def request(number: int) -> None:
        async with db.async_open(pool_max_size=1) as mem:
            await mem.add(content=f"request {number}", user_id=USER)

    async def main() -> None:
        await asyncio.gather(*(request(number) for number in range(20)))
        await until(lambda: not db.connections() and len(asyncio.all_tasks()) == 1, within=1)

    run(main())
    assert db.ask("SELECT count(*) FROM openmem.memories") == 21
    db.check_audited()
