"""Calls of `AsyncMemory`: in threads that can be left behind."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from openmem import AsyncMemory

from .service import CONFIG, Service

CANCEL_BOUND = 0.05


def client(service: Service, **settings: Any) -> AsyncMemory:
    return AsyncMemory("letta", host=service.url, embedding_config=CONFIG, **settings)


async def cancel(service: Service, task: asyncio.Task[Any]) -> None:
    """Cancel a task once it waits for the service; it must be free at once."""
    assert await asyncio.to_thread(service.stuck.acquire, True, 5)
    start = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - start < CANCEL_BOUND


async def until(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(_poll, condition, time.monotonic() + 5)
    assert condition()


def _poll(condition: Callable[[], bool], deadline: float) -> None:
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("verb", "steps", "label", "change"),
    [
        ("search", 1, "search", "nothing was changed"),
        ("list", 0, "lookup of archives", "nothing was changed"),
        ("list", 1, "list", "nothing was changed"),
        ("add", 1, "add", "the backend was changed"),
    ],
)
def test_a_cancelled_call_goes_on_and_its_end_is_logged(
    verb: str, steps: int, label: str, change: str, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with client(service, executor_max_workers=1) as memory:
            record = await memory.add(content="tea", user_id="u")
            service.script += [*[service.perform] * steps, service.hang]
            calls: dict[str, Any] = {
                "search": lambda: memory.search("tea", "u"),
                "list": lambda: memory.list("u"),
                "add": lambda: memory.add(content="milk", user_id="u"),
            }
            await cancel(service, asyncio.ensure_future(calls[verb]()))
            assert await memory.get(record.id) == record
            service.release.set()
            message = f"a cancelled {label} on Letta went on in its thread and ended; {change}"
            await until(lambda: message in caplog.messages)
            assert len((await memory.list("u")).items) == (2 if verb == "add" else 1)

    with caplog.at_level(logging.DEBUG, "openmem"):
        asyncio.run(main())


def test_closing_waits_for_no_thread_and_breaks_no_request(service: Service) -> None:
    async def main() -> None:
        memory = client(service)
        await memory.add(content="tea", user_id="u")
        service.script += [service.perform, service.hang]
        await cancel(service, asyncio.ensure_future(memory.add(content="milk", user_id="u")))
        start = time.monotonic()
        await memory.close()
        assert time.monotonic() - start < 0.5
        service.release.set()
        await until(lambda: len(service.passages) == 2)

    asyncio.run(main())


def test_many_calls_at_once(service: Service) -> None:
    async def main() -> None:
        async with client(service) as memory:
            records = await asyncio.gather(
                *(memory.add(content=f"tea {number}", user_id=f"u{number % 3}") for number in range(12))
            )
            for user in range(3):
                listed = (await memory.list(f"u{user}")).items
                assert {item.id for item in listed} == {item.id for item in records[user::3]}

    asyncio.run(main())
