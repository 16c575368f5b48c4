"""The ports of `AsyncMemory`: coroutines that suspend, with a thread pool for what would block."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import importlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

from ..embedders import Embedder, aembed_checked, embed_checked, resolve_embedder, warm_up_checked
from ..errors import ProviderError, unavailable
from ..io import EmbedderIO, HttpIO, HttpSettings, PostgresIO, PostgresSettings, Vectors

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_WORKERS = 4

logger = logging.getLogger("openmem")


class AsyncEmbedder:
    """An embedder called by its own `aembed`, or else in a thread."""

    def __init__(self, embedder: Embedder, ports: AsyncPorts, *, owned: bool) -> None:
        self._embedder = embedder
        self._ports = ports
        self._owned = owned
        self.model = embedder.model
        self.dim = embedder.dim

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if hasattr(self._embedder, "aembed"):
            return await aembed_checked(self._embedder, texts)
        return await self._ports.call(embed_checked, self._embedder, texts)

    async def load(self) -> None:
        await self._ports.call(warm_up_checked, self._embedder)

    async def close(self) -> None:
        if not self._owned:
            return
        aclose = getattr(self._embedder, "aclose", None)
        close = getattr(self._embedder, "close", None)
        if aclose is not None:
            await aclose()
        elif close is not None:
            await self._ports.call(close)


class AsyncPorts:
    """The outside world for one `AsyncMemory`."""

    def __init__(self, max_workers: int | None = None) -> None:
        self._max_workers = max_workers or DEFAULT_WORKERS
        self._executor: ThreadPoolExecutor | None = None
        self._closed = False

    async def postgres(self, settings: PostgresSettings) -> PostgresIO:
        driver = await self.load("openmem.drivers.asyncpg")
        io: PostgresIO = driver.AsyncpgIO(settings)
        return io

    async def http(self, settings: HttpSettings) -> HttpIO:
        driver = await self.load("openmem.drivers.httpx")
        io: HttpIO = driver.HttpxIO(settings)
        return io

    def embedder(self, spec: Any) -> EmbedderIO:
        embedder = resolve_embedder(spec)
        return AsyncEmbedder(embedder, self, owned=embedder is not spec)

    async def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        in_context = functools.partial(contextvars.copy_context().run, function, *args, **kwargs)
        work = self._threads().submit(in_context)
        try:
            return await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            work.add_done_callback(_log_late)
            task = asyncio.current_task()
            if self._closed and task is not None and not task.cancelling():
                raise _closed_meanwhile() from None
            raise

    def _threads(self) -> ThreadPoolExecutor:
        if self._closed:
            raise _closed_meanwhile()
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._max_workers, thread_name_prefix="openmem")
        return self._executor

    async def load(self, module: str) -> ModuleType:
        return await self.call(importlib.import_module, module)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def lock(self) -> asyncio.Lock:
        return asyncio.Lock()

    async def close(self) -> None:
        self._closed = True
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None


def _closed_meanwhile() -> ProviderError:
    return unavailable("the client was closed while this call ran")


def _log_late(work: Future[Any]) -> None:
    if not work.cancelled():
        error = work.exception()
        end = "ended" if error is None else f"raised {type(error).__name__}"
        logger.debug("a cancelled call went on in its thread and %s", end)
