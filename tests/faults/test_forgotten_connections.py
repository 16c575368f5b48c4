"""Connections that the network has forgotten: one call pays, for some seconds, whatever its own time limit."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from openmem import AsyncMemory, Memory, ProviderError
from openmem.drivers.postgres import pool

from ..proxy import Proxy
from .harness import CANCEL_BOUND, USER, Database, cancelled_after, run, until, until_blocking

BOUND = 5.0
IDLE = 5.3
"""Seconds after which a connection is checked before it is used."""

CALLS = 4


def ask(mem: Memory) -> float:
    """Seconds that a call takes."""
    begun = time.perf_counter()
    mem.list(USER)
    return time.perf_counter() - begun


async def aask(mem: AsyncMemory) -> float:
    """`ask` for the other client."""
    begun = time.perf_counter()
    await mem.list(USER)
    return time.perf_counter() - begun


def use_all(mem: Memory) -> None:
    """Open `CALLS` connections."""
    barrier = threading.Barrier(CALLS)

    def call(_: int) -> None:
        barrier.wait()
        for _ in range(20):
            mem.list(USER)

    with ThreadPoolExecutor(CALLS) as threads:
        list(threads.map(call, range(CALLS)))


async def ause_all(mem: AsyncMemory) -> None:
    """`use_all` for the other client."""
    await asyncio.gather(*(mem.list(USER) for _ in range(CALLS)))


def check_idle(mem: Memory | AsyncMemory, least: int = 2) -> None:
    """There are several connections, so that several could fail in turn."""
    usage = mem.client.provider.pool_usage()
    assert usage is not None
    assert usage[1] >= least


def check_lost(error: BaseException) -> None:
    """The error says what happened, and that a retry may help."""
    assert isinstance(error, ProviderError)
    assert error.code == "provider_unavailable"
    assert error.__cause__ is not None


def test_connections_forgotten_right_after_their_use(db: Database, proxy: Proxy) -> None:
    url = db.through(proxy.port)
    with db.open(url=url) as mem:
        use_all(mem)
        check_idle(mem)
        proxy.forget()
        begun = time.perf_counter()
        with pytest.raises(ProviderError, match="the network has lost the connection") as caught:
            mem.list(USER)
        check_lost(caught.value)
        for _ in range(CALLS):
            mem.list(USER)
        assert time.perf_counter() - begun < BOUND

    async def main() -> None:
        async with db.async_open(url=url) as mem:
            await ause_all(mem)
            check_idle(mem, CALLS)
            proxy.forget()
            begun = time.perf_counter()
            with pytest.raises(ProviderError, match="the network has lost the connection") as caught:
                await mem.list(USER)
            check_lost(caught.value)
            await ause_all(mem)
            assert time.perf_counter() - begun < BOUND

    run(main())


def test_calls_at_once_on_forgotten_connections(db: Database, proxy: Proxy) -> None:
    url = db.through(proxy.port)
    with db.open(url=url) as mem:
        use_all(mem)
        proxy.forget()
        begun = time.perf_counter()
        with ThreadPoolExecutor(CALLS) as threads:
            for call in [threads.submit(mem.list, USER) for _ in range(CALLS)]:
                error = call.exception()
                if error is not None:
                    check_lost(error)
        assert time.perf_counter() - begun < BOUND
        mem.list(USER)

    async def main() -> None:
        async with db.async_open(url=url) as mem:
            await ause_all(mem)
            proxy.forget()
            begun = time.perf_counter()
            for error in await asyncio.gather(*(mem.list(USER) for _ in range(CALLS)), return_exceptions=True):
                if isinstance(error, BaseException):
                    check_lost(error)
            assert time.perf_counter() - begun < BOUND
            await ause_all(mem)

    run(main())


@pytest.mark.parametrize("pooled", ["", "&pgbouncer=true"])
def test_forgotten_connections_that_were_idle_fail_no_call(db: Database, proxy: Proxy, pooled: str) -> None:
    url = db.through(proxy.port) + pooled

    async def main() -> None:
        async with db.async_open(url=url) as one, db.async_open(url=url) as other, db.async_open(url=url) as third:
            await ause_all(other)
            proxy.forget()
            await asyncio.sleep(IDLE)
            took = await asyncio.gather(*(aask(mem) for mem in (one, other) for _ in range(CALLS)))
            assert max(took) < BOUND
            assert await aask(third) < 1

    with db.open(url=url) as mem, db.open(url=url) as several:
        use_all(mem)
        use_all(several)
        run(main())
        begun = time.perf_counter()
        for _ in range(CALLS):
            mem.list(USER)
        assert time.perf_counter() - begun < BOUND
        with ThreadPoolExecutor(CALLS) as threads:
            assert max(threads.map(ask, [several] * CALLS)) < BOUND


def test_one_who_gives_up_early_pays_once(db: Database, proxy: Proxy) -> None:
    async def main() -> None:
        async with db.async_open(url=db.through(proxy.port)) as mem:
            await ause_all(mem)
            check_idle(mem, CALLS)
            proxy.forget()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await mem.list(USER)
            await asyncio.sleep(0.6)
            async with asyncio.timeout(1):
                await mem.list(USER)

    run(main())


def test_a_transaction_on_a_connection_that_is_forgotten(db: Database, proxy: Proxy) -> None:
    records = [{"content": f"tea number {number}", "user_id": USER} for number in range(1_200)]
    moments: list[float] = []

    def forget(done: int, total: int) -> None:
        if not moments:
            moments.append(time.perf_counter())
            proxy.forget()

    with db.open(url=db.through(proxy.port)) as mem:
        with pytest.raises(ProviderError) as caught:
            mem.add_many(records, progress=forget)
        assert time.perf_counter() - moments.pop() < BOUND
        check_lost(caught.value)
        assert [record.id for record in mem.list(USER).items] == [db.id]

    async def main() -> None:
        async with db.async_open(url=db.through(proxy.port)) as mem:
            with pytest.raises(ProviderError) as caught:
                await mem.add_many(records, progress=forget)
            assert time.perf_counter() - moments.pop() < BOUND
            check_lost(caught.value)
            assert [record.id for record in (await mem.list(USER)).items] == [db.id]

    run(main())


def test_reads_go_on_when_the_replica_is_forgotten(db: Database, proxy: Proxy) -> None:
    with db.open(replica_url=db.through(proxy.port)) as mem:
        use_all(mem)
        proxy.forget()
        assert ask(mem) < BOUND
        assert ask(mem) < 1

    async def main() -> None:
        async with db.async_open(replica_url=db.through(proxy.port)) as mem:
            await ause_all(mem)
            proxy.forget()
            assert await aask(mem) < BOUND
            assert await aask(mem) < 1

    run(main())


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_slow_statement_gets_its_time(db: Database, size: int) -> None:
    async def main() -> None:
        async with db.async_open(pool_max_size=size) as mem:
            begun = time.perf_counter()
            with db.locked():
                calls = [asyncio.create_task(mem.list(USER)) for _ in range(2)]
                while time.perf_counter() - begun < 2 * pool.SILENCE_SECONDS + 1.5:
                    assert db.connections() <= size
                    await asyncio.sleep(0.02)
                assert not any(call.done() for call in calls)
            await asyncio.gather(*calls)

    with db.open(pool_max_size=size) as mem, ThreadPoolExecutor(2) as threads:
        begun = time.perf_counter()
        with db.locked():
            calls = [threads.submit(mem.list, USER) for _ in range(2)]
            while time.perf_counter() - begun < 2 * pool.SILENCE_SECONDS + 1.5:
                assert db.connections() <= size
                time.sleep(0.02)
            assert not any(call.done() for call in calls)
        for call in calls:
            call.result()
    until_blocking(lambda: not db.connections(), within=1)
    run(main())


def test_a_cancelled_check_leaves_at_once(db: Database, proxy: Proxy) -> None:
    async def main() -> None:
        async with db.async_open(url=db.through(proxy.port), pool_max_size=1) as mem:
            await mem.list(USER)
            await asyncio.sleep(IDLE)
            proxy.freeze()
            call = asyncio.create_task(mem.list(USER))
            await asyncio.sleep(0.1)
            assert await cancelled_after(call) < CANCEL_BOUND
            proxy.thaw()
            await mem.list(USER)
            assert db.connections() == 1

    run(main())


def test_a_call_cancelled_while_another_connection_asks_leaves_at_once(db: Database, proxy: Proxy) -> None:
    async def main() -> None:
        async with db.async_open(url=db.through(proxy.port), pool_max_size=2) as mem:
            with db.locked():
                call = asyncio.create_task(mem.list(USER))
                await until(lambda: db.waiting() == 1, within=5)
                proxy.freeze()
                await until(lambda: proxy.connections == 2, within=pool.SILENCE_SECONDS + 1)
                assert await cancelled_after(call) < CANCEL_BOUND
                proxy.thaw()
                await until(lambda: not db.running(), within=1)
            await asyncio.gather(mem.list(USER), mem.list(USER), mem.list(USER))
            assert db.connections() <= 2

    run(main())


def test_connections_in_use_are_not_checked(db: Database, proxy: Proxy) -> None:
    def requests(call: Callable[[], object]) -> int:
        before = proxy.requests
        call()
        return proxy.requests - before

    with db.open(url=db.through(proxy.port)) as mem:
        mem.get(db.id)
        assert [requests(lambda: mem.get(db.id)) for _ in range(3)] == [1, 1, 1]

    async def main() -> None:
        async with db.async_open(url=db.through(proxy.port)) as mem:
            await mem.get(db.id)
            before = proxy.requests
            for _ in range(3):
                await mem.get(db.id)
            assert proxy.requests - before == 3

    run(main())


def test_a_goodbye_that_the_loop_has_not_read_yet(db: Database, proxy: Proxy) -> None:
    async def main() -> None:
        async with db.async_open(url=db.through(proxy.port)) as mem:
            await ause_all(mem)
            proxy.cut()
            time.sleep(0.05)  # noqa: ASYNC251 - the loop must not read
            await mem.list(USER)

    run(main())


def test_connections_are_replaced_after_their_time(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MAX_LIFETIME_SECONDS", 0.3)
    pids = "SELECT pid::text FROM pg_stat_activity WHERE application_name = 'subject'"

    async def main() -> None:
        async with db.async_open() as mem:
            await mem.list(USER)
            first = db.ids(pids)
            await asyncio.sleep(0.35)
            await mem.list(USER)
            await until(lambda: len(db.ids(pids)) == 1, within=1)
            assert not db.ids(pids) & first

    run(main())
    with db.open() as mem:
        mem.list(USER)
        first = db.ids(pids)
        time.sleep(0.35)
        mem.list(USER)
        until_blocking(lambda: len(db.ids(pids)) == 1, within=1)
        assert not db.ids(pids) & first


OPTIONS = ["SO_KEEPALIVE", "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT"]


def options(descriptor: int) -> dict[str, int]:
    """What the kernel says of a socket, of the options it knows."""
    with socket.socket(fileno=socket.dup(descriptor)) as wire:
        return {
            name: wire.getsockopt(socket.SOL_SOCKET if name.startswith("SO") else socket.IPPROTO_TCP, number)
            for name in OPTIONS
            if (number := getattr(socket, name, None)) is not None
        }


@pytest.mark.parametrize("pooled", ["", "&pgbouncer=true"])
@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("", [1, 15, 5, 3, 4000]),
        ("&keepalives_idle=70&tcp_user_timeout=9000", [1, 70, 5, 3, 9000]),
        ("&keepalives_interval=7&keepalives_count=2", [1, 15, 7, 2, 4000]),
    ],
)
def test_the_kernel_is_told_how_long_to_wait(db: Database, parameters: str, expected: list[int], pooled: str) -> None:
    wanted = {name: value for name, value in zip(OPTIONS, expected, strict=True) if hasattr(socket, name)}

    def of_pool(mem: Any) -> Any:
        io = mem.client.provider._connections.primary
        return getattr(io, "_pool", None) or io._lease.value._pool

    with db.open(url=db.url + parameters + pooled) as mem:
        mem.list(USER)
        assert options(of_pool(mem)._idle[0].connection.fileno()) == wanted

    async def main() -> None:
        async with db.async_open(url=db.url + parameters + pooled) as mem:
            await mem.list(USER)
            assert options(of_pool(mem)._idle[0].connection.descriptor) == wanted

    run(main())


def test_the_kernel_may_be_told_not_to_ask(db: Database) -> None:
    with db.open(url=db.url + "&keepalives=0&tcp_user_timeout=0") as mem:
        assert mem.list(USER).items

    async def main() -> None:
        async with db.async_open(url=db.url + "&keepalives=0&tcp_user_timeout=0") as mem:
            assert (await mem.list(USER)).items

    run(main())
