"""The ports of `AsyncMemory`: coroutines that suspend, with a thread pool for what would block."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import importlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import ParamSpec, TypeVar

from ..embedders import Embedder, checked
from ..io import EmbedderIO, PostgresIO, PostgresSettings, Vectors

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_WORKERS = 4


class AsyncEmbedder:
    """An embedder called by its own `aembed`, or else in a thread."""

    def __init__(self, embedder: Embedder, ports: AsyncPorts) -> None:
        self._embedder = embedder
        self._ports = ports
        self.model = embedder.model
        self.dim = embedder.dim

    async def embed(self, texts: Sequence[str]) -> Vectors:
        aembed = getattr(self._embedder, "aembed", None)
        if aembed is not None:
            return checked(self._embedder, texts, await aembed(texts))
        return await self._ports.call(self._embed_and_check, texts)

    def _embed_and_check(self, texts: Sequence[str]) -> Vectors:
        return checked(self._embedder, texts, self._embedder.embed(texts))

    async def close(self) -> None:
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

    async def postgres(self, settings: PostgresSettings) -> PostgresIO:
        driver = await self.load("openmem.drivers.asyncpg")
        io: PostgresIO = driver.AsyncpgIO(settings)
        return io

    def embedder(self, embedder: Embedder) -> EmbedderIO:
        return AsyncEmbedder(embedder, self)

    async def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._max_workers, thread_name_prefix="openmem")
        in_context = functools.partial(contextvars.copy_context().run, function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._executor, in_context)

    async def load(self, module: str) -> ModuleType:
        return await self.call(importlib.import_module, module)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def lock(self) -> asyncio.Lock:
        return asyncio.Lock()

    async def close(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None
