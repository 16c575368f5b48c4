"""Connections that a network has forgotten: at most one call waits for one, and not for long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Thread
from typing import Any

import pytest

from openmem import AsyncMemory, Memory, ProviderError
from openmem.drivers.asyncio import AsyncPorts
from openmem.drivers.blocking import BlockingPorts
from openmem.ports import Ports, run_blocking
from openmem.ports.errors import ConnectionFailedError
from openmem.ports.http import HttpRequest, HttpSettings

from ..proxy import Proxy
from ..rerankers.service import KEY, Service
from .upstream import HANG_UP, Piece, Request, Upstream, good, wait_until

CONNECTIONS = 5


def slowly(request: Request) -> Iterable[Piece]:
    """Long enough that calls at the same time need connections of their own."""
    yield 0.3
    yield from good(request)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(slowly) as upstream:
        yield upstream


@pytest.fixture
def proxy(upstream: Upstream) -> Iterator[Proxy]:
    with Proxy(upstream.port) as proxy:
        yield proxy


def blocking_client(proxy: Proxy, **settings: Any) -> Memory:
    """A client with several idle connections."""
    memory = Memory("passthrough", base_url=f"http://127.0.0.1:{proxy.port}", **settings)
    memory.list(user_id="maya")
    barrier = Barrier(CONNECTIONS)

    def listing() -> None:
        barrier.wait()
        memory.list(user_id="maya")

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        for call in [threads.submit(listing) for _ in range(CONNECTIONS)]:
            call.result()
    return memory


async def client(proxy: Proxy) -> AsyncMemory:
    memory = AsyncMemory("passthrough", base_url=f"http://127.0.0.1:{proxy.port}")
    await asyncio.gather(*(memory.list(user_id="maya") for _ in range(CONNECTIONS)))
    return memory


def test_one_call_waits_for_forgotten_connections(upstream: Upstream, proxy: Proxy) -> None:
    with blocking_client(proxy) as memory:
        upstream.answer = good
        assert proxy.connections == CONNECTIONS
        proxy.forget()
        took = []
        for _ in range(CONNECTIONS + 1):
            begun = time.monotonic()
            memory.list(user_id="maya")
            took.append(time.monotonic() - begun)
        assert took[0] < 5.5
        assert max(took[1:]) < 1


def test_one_task_waits_for_forgotten_connections(upstream: Upstream, proxy: Proxy) -> None:
    async def body() -> None:
        async with await client(proxy) as memory:
            upstream.answer = good
            assert proxy.connections == CONNECTIONS
            proxy.forget()
            took = []
            for _ in range(CONNECTIONS + 1):
                begun = time.monotonic()
                await memory.list(user_id="maya")
                took.append(time.monotonic() - begun)
            assert took[0] < 5.5
            assert max(took[1:]) < 1

    asyncio.run(body())


def test_what_must_not_be_done_twice_takes_a_new_connection(upstream: Upstream, proxy: Proxy) -> None:
    record = {"content": "tea", "user_id": "maya"}

    async def body() -> None:
        async with await client(proxy) as memory:
            upstream.answer = good
            proxy.forget()
            begun = time.monotonic()
            assert len(await memory.add_many([record])) == 1
            assert time.monotonic() - begun < 1

    with blocking_client(proxy) as memory:
        upstream.answer = good
        proxy.forget()
        begun = time.monotonic()
        assert len(memory.add_many([record])) == 1
        assert time.monotonic() - begun < 1
    upstream.answer = slowly
    asyncio.run(body())
    assert sum(request.path == "/memories/batch" for request in upstream.requests) == 2


def test_a_slow_server_is_asked_twice_only_once(upstream: Upstream) -> None:
    """A reply that takes long looks like none, until the server is known to be slow."""

    def very_slowly(request: Request) -> Iterable[Piece]:
        yield 5.0
        yield from good(request)

    with Memory("passthrough", base_url=upstream.url) as memory:
        memory.list(user_id="maya")
        upstream.answer = very_slowly
        upstream.requests.clear()
        for _ in range(3):
            memory.list(user_id="maya")
        assert len(upstream.requests) == 4


def test_an_idle_connection_is_used_again(upstream: Upstream) -> None:
    upstream.answer = good
    with Memory("passthrough", base_url=upstream.url) as memory:
        memory.list(user_id="maya")
        time.sleep(1.5)
        memory.list(user_id="maya")
        assert upstream.connections == 1


def test_a_time_out_makes_all_idle_connections_suspect(upstream: Upstream, proxy: Proxy) -> None:
    """Also where the connection that brought nothing was a new one."""
    with blocking_client(proxy, timeout=1) as memory:
        proxy.forget()
        upstream.answer = lambda request: [9.0]
        with pytest.raises(ProviderError, match="did not answer"):
            memory.add_many([{"content": "tea", "user_id": "maya"}])
        upstream.answer = good
        begun = time.monotonic()
        memory.list(user_id="maya")
        assert time.monotonic() - begun < 0.4


def test_connections_that_the_server_closes_are_no_failure(upstream: Upstream) -> None:
    """Not even where it does so while a request is on its way."""

    def once(request: Request) -> Iterable[Piece]:
        yield from good(request)
        yield 0.0
        yield HANG_UP

    upstream.answer = once
    with Memory("passthrough", base_url=upstream.url) as memory:
        for _ in range(20):
            memory.list(user_id="maya")
    assert wait_until(lambda: upstream.open == 0)


def let_go(service: Service) -> None:
    """Let a request go as soon as it hangs."""
    service.stuck.acquire(timeout=10)
    service.release.set()


@pytest.mark.parametrize("make_ports", [BlockingPorts, AsyncPorts])
@pytest.mark.parametrize("first_byte_timeout", [0.1, 20.0])
def test_how_long_a_reply_on_a_used_connection_may_take_to_begin(make_ports: Any, first_byte_timeout: float) -> None:
    """A model thinks for longer than other servers, and a request that is sent again costs as much."""
    is_patient = first_byte_timeout > 1

    async def main(service: Service) -> None:
        ports: Ports = make_ports()
        io = await ports.http(
            HttpSettings(
                base_url=service.url,
                headers={"Authorization": f"Bearer {KEY}"},
                timeout=30,
                connect_timeout=5,
                max_connections=1,
                first_byte_timeout=first_byte_timeout,
            )
        )
        request = HttpRequest("POST", "/v2/rerank", body={"query": "tea", "documents": ["tea"]})
        try:
            assert (await io.send(request)).status == 200
            service.script.append(service.hang)
            if is_patient:
                Thread(target=let_go, args=(service,)).start()
                assert (await io.send(request)).status == 200
            else:
                with pytest.raises(ConnectionFailedError, match="no reply on a connection that was used before"):
                    await io.send(request)
        finally:
            service.release.set()
            await io.close()
            await ports.close()
        assert len(service.requests) == 2

    with Service() as service:
        if make_ports is AsyncPorts:
            asyncio.run(main(service))
        else:
            run_blocking(main(service))
