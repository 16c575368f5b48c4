"""Vendor calls of `AsyncMemory`: in threads that can be left behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import textwrap
import threading
import time
from contextvars import ContextVar
from typing import Any

import pytest

from openmem import AsyncMemory, ProviderError
from openmem.drivers.asyncio import AsyncPorts

from ..service import Reply
from .service import KEY, Request, Service

CANCEL_BOUND = 0.05


def client(service: Service, **settings: Any) -> AsyncMemory:
    return AsyncMemory("mem0", api_key=KEY, host=service.url, **settings)


async def until_stuck(service: Service, count: int = 1) -> None:
    for _ in range(count):
        assert await asyncio.to_thread(service.stuck.acquire, True, 5)


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks that wait for the service; they must be free at once."""
    gc.collect()  # not in the middle of what is measured
    start = time.monotonic()
    for task in tasks:
        task.cancel()
    assert all(isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*tasks, return_exceptions=True))
    assert time.monotonic() - start < CANCEL_BOUND


async def until(condition: Any) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("waited for too long")


VERBS: dict[str, Any] = {
    "search": (lambda memory: memory.search("tea", "u"), "nothing was changed"),
    "list": (lambda memory: memory.list("u"), "nothing was changed"),
    "add": (lambda memory: memory.add(content="milk", user_id="u"), "the backend was changed"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_cancelled_call_goes_on_and_its_end_is_logged(
    verb: str, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with client(service) as memory:
            await memory.add(content="tea", user_id="u")
            service.script.append(service.hang)
            call, change = VERBS[verb]
            task: asyncio.Task[Any] = asyncio.ensure_future(call(memory))
            await until_stuck(service)
            await cancel(task)
            assert len(await memory.search("tea", "u")) == 1
            service.release.set()
            message = f"a cancelled {verb} on mem0 went on in its thread and ended; {change}"
            await until(lambda: message in caplog.messages)
            assert len((await memory.list("u")).items) == (2 if verb == "add" else 1)

    with caplog.at_level(logging.DEBUG, "openmem"):
        asyncio.run(main())


def test_the_failure_of_a_cancelled_call_is_logged(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    def hang_up(request: Request) -> Reply:
        service.hang(request)
        return Reply(cut=-1)

    async def main() -> None:
        async with client(service) as memory:
            service.script.append(hang_up)
            task = asyncio.ensure_future(memory.add(content="tea", user_id="u"))
            await until_stuck(service)
            await cancel(task)
            service.release.set()
            end = "raised NetworkError; the backend may have been changed"
            await until(lambda: f"a cancelled add on mem0 went on in its thread and {end}" in caplog.messages)

    with caplog.at_level(logging.DEBUG, "openmem"):
        asyncio.run(main())
    assert len(service.requests) == 1


@pytest.mark.parametrize("workers", [1, 3])
def test_stuck_threads_do_not_hold_up_later_verbs(workers: int, service: Service) -> None:
    async def main() -> None:
        async with client(service, executor_max_workers=workers) as memory:
            service.script.extend([service.hang] * workers)
            stuck = [asyncio.ensure_future(memory.list("u")) for _ in range(workers)]
            await until_stuck(service, workers)
            queued = asyncio.ensure_future(memory.add(content="tea", user_id="u"))
            await asyncio.sleep(0)
            await cancel(*stuck)
            async with asyncio.timeout(5):
                record = await queued
                assert await memory.get(record.id) == record
            assert service.verbs.count("POST /v3/memories/add/") == 1
            assert not service.release.is_set()

    asyncio.run(main())


def test_a_call_that_was_cancelled_in_the_queue_is_never_sent(service: Service) -> None:
    async def main() -> None:
        async with client(service, executor_max_workers=1) as memory:
            service.script.append(service.hang)
            stuck = asyncio.ensure_future(memory.list("u"))
            await until_stuck(service)
            queued = asyncio.ensure_future(memory.add(content="tea", user_id="u"))
            await asyncio.sleep(0.01)
            await cancel(queued)
            service.release.set()
            assert (await stuck).items == []
            assert (await memory.list("u")).items == []

    asyncio.run(main())


def test_closing_waits_for_no_thread_and_breaks_no_request(service: Service) -> None:
    async def main() -> None:
        memory = client(service)
        await memory.list("u")
        service.script.append(service.hang)
        task = asyncio.ensure_future(memory.add(content="tea", user_id="u"))
        await until_stuck(service)
        await cancel(task)
        http = memory.client.provider.sdk._http  # type: ignore[attr-defined]
        start = time.monotonic()
        await memory.close()
        assert time.monotonic() - start < 0.5
        assert not http.is_closed
        service.release.set()
        await until(lambda: http.is_closed)
        with pytest.raises(RuntimeError, match="AsyncMemory is closed"):
            await memory.list("u")

    asyncio.run(main())
    assert [memory["memory"] for memory in service.memories.values()] == ["tea"]


def test_closing_fails_the_calls_that_wait_for_a_thread(service: Service) -> None:
    async def main() -> None:
        memory = client(service, executor_max_workers=1)
        await memory.list("u")
        service.script.append(service.hang)
        running = asyncio.ensure_future(memory.list("u"))
        await until_stuck(service)
        queued = asyncio.ensure_future(memory.add(content="tea", user_id="u"))
        await asyncio.sleep(0.01)
        await memory.close()
        with pytest.raises(ProviderError, match="was closed"):
            await queued
        service.release.set()
        assert (await running).items == []
        assert service.memories == {}

    asyncio.run(main())


def test_context_variables_reach_the_thread() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")

    async def one(ports: AsyncPorts, value: str) -> tuple[str, str]:
        variable.set(value)
        await asyncio.sleep(0)
        return await ports.to_thread(lambda: (variable.get(), threading.current_thread().name))

    async def main() -> None:
        ports = AsyncPorts(2)
        for number, (value, thread) in enumerate(await asyncio.gather(*(one(ports, str(n)) for n in range(8)))):
            assert value == str(number)
            assert thread.startswith("openmem")
        await ports.close()

    asyncio.run(main())
    assert variable.get() == "unset"


def test_the_interpreter_ends_when_the_time_limit_of_a_stuck_request_is_over(service: Service) -> None:
    service.script.append(service.hang)
    code = f"""
        import asyncio, sys
        from openmem import AsyncMemory

        async def main():
            memory = AsyncMemory("mem0", api_key={KEY!r}, host={service.url!r}, timeout=1)
            task = asyncio.ensure_future(memory.add(content="tea", user_id="u"))
            await asyncio.to_thread(sys.stdin.readline)
            task.cancel()

        asyncio.run(main())
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    try:
        assert service.stuck.acquire(timeout=30)
        start = time.monotonic()
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.wait(15) == 0, process.communicate()
        assert time.monotonic() - start < 10
    finally:
        process.kill()
        process.communicate()
