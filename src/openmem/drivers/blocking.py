"""The ports of `Memory`: ``async def`` methods that block and never suspend; see `openmem.ports`."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from contextvars import copy_context
from datetime import UTC, datetime
from types import ModuleType, TracebackType
from typing import Any, ParamSpec, TypeVar

from .._model_calls import CheckedEmbedder, CheckedReranker
from ..ports import run_blocking
from ..ports.http import HttpIO, HttpSettings
from ..ports.local import LocalServer
from ..ports.models import Embedder, EmbedderIO, Reranker, RerankerIO
from ..ports.postgres import ConnectionParameters, PostgresIO, PostgresSettings
from .blocking_models import BlockingEmbedder, BlockingReranker

P = ParamSpec("P")
R = TypeVar("R")


class BlockingLock(AbstractAsyncContextManager[object, None]):
    """A lock between threads, in the form the shared code enters."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    async def __aenter__(self) -> object:
        self._lock.acquire()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()


class BlockingPorts:
    """The outside world for one `Memory`."""

    async def postgres(self, settings: PostgresSettings) -> PostgresIO:
        driver = await self.import_module("openmem.drivers.postgres.psycopg")
        io: PostgresIO = driver.PsycopgIO(settings)
        return io

    async def connection_parameters(self, url: str, setting: str, *, ignores_environment: bool) -> ConnectionParameters:
        libpq = await self.import_module("openmem.drivers.postgres.libpq")
        parameters: ConnectionParameters = libpq.resolve(
            url, setting, for_asyncio=False, ignores_environment=ignores_environment
        )
        return parameters

    async def http(self, settings: HttpSettings) -> HttpIO:
        driver = await self.import_module("openmem.drivers.http.httpcore")
        io: HttpIO = driver.BlockingHttpcoreIO(settings)
        return io

    async def local_server(self, path: str | None) -> LocalServer:
        driver = await self.import_module("openmem.drivers.local")
        server: LocalServer = driver.LocalServerIO(path, self.to_thread)
        return server

    def embedder(self, embedder: Embedder, *, owned: bool) -> EmbedderIO:
        return BlockingEmbedder(CheckedEmbedder(embedder), owned=owned)

    def reranker(self, reranker: Reranker, *, owned: bool) -> RerankerIO:
        return BlockingReranker(CheckedReranker(reranker), owned=owned)

    async def to_thread(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    async def run_cpu(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    async def take_turn(self) -> None:
        """Every thread has its own."""

    async def call_when_idle(self, function: Callable[[], object]) -> None:
        function()

    async def import_module(self, module: str) -> ModuleType:
        return importlib.import_module(module)

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def within(self, seconds: float, function: Callable[[], Coroutine[Any, Any, R]]) -> R:
        """A call that blocks cannot be stopped. So it is made in a thread, which is left alone when it is late."""
        outcome: Future[R] = Future()

        def run() -> None:
            try:
                outcome.set_result(run_blocking(function()))
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                outcome.set_exception(error)

        threading.Thread(target=copy_context().run, args=(run,), name="openmem-within", daemon=True).start()
        return outcome.result(seconds)

    def bind(self) -> None:
        """Threads may share a client; there is nothing to belong to."""

    def lock(self) -> BlockingLock:
        return BlockingLock()

    async def close(self) -> None:
        pass
