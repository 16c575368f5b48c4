"""Cancellation and closing, and what the package does before it is asked for anything."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from openmem import AsyncMemory, Memory
from openmem.providers.vendors.supermemory.sdk import SupermemoryClient

from .service import KEY, Service

FREED = 0.05
ANSWER = 0.3


async def _until(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("verb", "arguments", "outcome"),
    [
        ("search", {"query": "tea", "user_id": "ann"}, "nothing was changed"),
        ("add", {"content": "likes tea", "user_id": "ann"}, "the backend was changed"),
    ],
)
def test_a_cancelled_call_is_free_at_once_and_its_end_is_logged(
    service: Service, caplog: pytest.LogCaptureFixture, verb: str, arguments: dict[str, str], outcome: str
) -> None:
    # A call of another test may end meanwhile.
    about = f"a cancelled {verb} "

    async def main() -> None:
        async with AsyncMemory(provider="supermemory", host=service.url, api_key=KEY, executor_max_workers=1) as memory:
            service.script.append(service.late(ANSWER))
            task = asyncio.create_task(getattr(memory, verb)(**arguments))
            await _until(lambda: service.requests)
            start = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert time.monotonic() - start < FREED
            await memory.list("ann")
            await _until(lambda: any(about in message for message in caplog.messages))

    with caplog.at_level(logging.DEBUG, "openmem"):
        asyncio.run(main())
    [message] = [message for message in caplog.messages if about in message]
    assert message == f"a cancelled {verb} on Supermemory went on in its thread and ended; {outcome}"
    assert len(service.namespaces.get("ann", {})) == (1 if verb == "add" else 0)


def test_closing_does_not_wait_for_a_thread(service: Service) -> None:
    async def main() -> float:
        memory = AsyncMemory(provider="supermemory", host=service.url, api_key=KEY)
        await memory.list("ann")
        service.script.append(service.late(ANSWER))
        task = asyncio.create_task(memory.list("ann"))
        await _until(lambda: len(service.requests) == 2)
        task.cancel()
        start = time.monotonic()
        await memory.close()
        return time.monotonic() - start

    assert asyncio.run(main()) < FREED


def test_calls_run_in_threads_with_the_caller_s_context(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    place = contextvars.ContextVar("place", default="nowhere")
    seen: list[tuple[str, bool]] = []
    search = SupermemoryClient.search

    def spy(self: SupermemoryClient, *args: Any) -> Any:
        seen.append((place.get(), threading.current_thread() is threading.main_thread()))
        return search(self, *args)

    monkeypatch.setattr(SupermemoryClient, "search", spy)

    async def main() -> None:
        async with AsyncMemory(provider="supermemory", host=service.url, api_key=KEY) as memory:
            place.set("here")
            await memory.search("tea", "ann")

    asyncio.run(main())
    place.set("there")
    with Memory(provider="supermemory", host=service.url, api_key=KEY) as memory:
        memory.search("tea", "ann")
    assert seen == [("here", False), ("there", True)]


def test_the_sdk_is_imported_when_its_provider_opens() -> None:
    program = """
import sys
from openmem import Memory
memory = Memory(provider="supermemory", api_key="k", host="http://127.0.0.1:9")
assert "supermemory" not in sys.modules
with memory:
    assert "supermemory" in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_a_missing_sdk_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openmem._extras.is_installed", lambda module: module != "supermemory")
    with pytest.raises(ImportError, match=r"pip install 'openmem\[supermemory\]'"):
        Memory(provider="supermemory", api_key="k")


def test_ping_asks_the_service(service: Service) -> None:
    async def main() -> None:
        async with AsyncMemory(provider="supermemory", host=service.url, api_key=KEY) as memory:
            await memory.client.ping()

    asyncio.run(main())
    assert service.routes() == ["GET /ns"]


def test_capabilities_are_told_without_a_request(service: Service) -> None:
    with Memory(provider="supermemory", host=service.url, api_key=KEY) as memory:
        told = memory.capabilities().to_wire()
    assert service.requests == []
    assert told == {
        "omp_version": "0.1",
        "provider": "supermemory",
        "verbs": [
            *("add", "get", "update", "delete", "list", "search", "context"),
            *("delete_many", "count", "facets", "history", "capabilities"),
        ],
        "features": {
            "vector_search": True,
            "keyword_search": False,
            "graph_queries": False,
            "temporal": True,
            "scopes": "tags",
            "supports_e2e": False,
            "supports_audit": False,
            "supports_supersession": True,
            "scores": "similarity",
            "atomic_supersession": False,
            "metadata": True,
            "filters": True,
            "keys": False,
            "versions": False,
            "expiry": False,
            "unindexed": False,
            "explanations": False,
        },
        "limits": {"max_search_results": 100},
    }
