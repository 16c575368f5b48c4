"""The two clients in one shape, so that a test is written once.

A test body is ``async def`` and awaits every verb. For `AsyncMemory` it runs on an event loop; for
`Memory` the verbs are wrapped in coroutines that block and never suspend, and the body runs from
start to end in one step (see `openmem.ports`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, Self, cast

from ..async_memory import AsyncMemory
from ..memory import Memory
from ..models import MemoryRecord
from ..ports import run_blocking

INGEST_TIMEOUT_SECONDS = 300.0


class Mode(Protocol):
    """How to make a client and how to run what awaits it."""

    def client(self, **arguments: Any) -> AsyncMemory:
        """A new client with these constructor arguments, not opened yet."""
        ...

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a test body to its end."""
        ...

    async def at_once(self, *calls: Callable[[], Coroutine[Any, Any, Any]]) -> list[Any]:
        """The results of calls that are made at the same moment, or what they raised, in their order."""
        ...

    def close(self) -> None:
        """Release what running took."""
        ...


class Awaitable:
    """A `Memory` with the verbs of `AsyncMemory`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._memory, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return verb(*args, **kwargs)

        return call

    async def __aenter__(self) -> Self:
        self._memory.__enter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        self._memory.__exit__(*error)


class IngestedClient:
    """A client that waits until what it stored can be searched, and then tells that it is stored.

    Args:
        client: the client under test.
        waits: a client that may read everything; by default the same one.
    """

    def __init__(self, client: AsyncMemory, waits: AsyncMemory | None = None) -> None:
        self._client = client
        self._waits = waits or client

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._client, name)
        if name not in ("add", "put", "update"):
            return verb

        async def call(*args: Any, **kwargs: Any) -> MemoryRecord:
            record: MemoryRecord = await verb(*args, **kwargs)
            if record.status != "queued":
                return record
            await self._waits.wait_for_ingest([record.id], record.user_id, timeout=INGEST_TIMEOUT_SECONDS)
            return record.model_copy(update={"status": "stored"})

        return call

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._client.__aexit__(*error)


class Sync:
    """`Memory`."""

    def client(self, **arguments: Any) -> AsyncMemory:
        return cast(AsyncMemory, Awaitable(Memory(**arguments)))

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        run_blocking(coroutine)

    async def at_once(self, *calls: Callable[[], Coroutine[Any, Any, Any]]) -> list[Any]:
        barrier = threading.Barrier(len(calls))

        def make(call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
            barrier.wait()
            return run_blocking(call())

        with ThreadPoolExecutor(len(calls)) as threads:
            futures = [threads.submit(make, call) for call in calls]
        return [future.exception() or future.result() for future in futures]

    def close(self) -> None:
        pass


class Async:
    """`AsyncMemory`, on one event loop."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def client(self, **arguments: Any) -> AsyncMemory:
        return AsyncMemory(**arguments)

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._runner.run(coroutine)

    async def at_once(self, *calls: Callable[[], Coroutine[Any, Any, Any]]) -> list[Any]:
        return await asyncio.gather(*(call() for call in calls), return_exceptions=True)

    def close(self) -> None:
        self._runner.close()
