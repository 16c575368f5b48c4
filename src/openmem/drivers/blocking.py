"""The ports of `Memory`: ``async def`` methods that block and never suspend; see `openmem.ports`."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from contextvars import copy_context
from types import ModuleType, TracebackType
from typing import Any, ParamSpec, TypeVar

from ..embedders import Embedder, embed_checked, resolve_embedder
from ..ports import run_blocking
from ..ports.http import HttpIO, HttpSettings
from ..ports.local import LocalServer
from ..ports.models import EmbedderIO, RerankerIO, Vectors
from ..ports.postgres import ConnectionParameters, PostgresIO, PostgresSettings
from ..rerankers import Reranker, rerank_checked, resolve_reranker

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


class BlockingEmbedder:
    """An embedder called directly."""

    def __init__(self, embedder: Embedder, *, owned: bool) -> None:
        self._embedder = embedder
        self._owned = owned
        self.model = embedder.model
        self.dim = embedder.dim

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return embed_checked(self._embedder, texts)

    async def load(self) -> None:
        """Left to the first text: here it holds up nobody else, and verbs without texts need no model."""

    async def close(self) -> None:
        close = getattr(self._embedder, "close", None)
        if self._owned and close is not None:
            close()


class BlockingReranker:
    """A reranker called directly."""

    def __init__(self, reranker: Reranker, *, owned: bool) -> None:
        self._reranker = reranker
        self._owned = owned

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        return rerank_checked(self._reranker, query, texts)

    async def load(self) -> None:
        """Left to the first query, as the embedder's model is."""

    async def close(self) -> None:
        close = getattr(self._reranker, "close", None)
        if self._owned and close is not None:
            close()


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

    def embedder(self, spec: Any) -> EmbedderIO:
        embedder = resolve_embedder(spec)
        return BlockingEmbedder(embedder, owned=embedder is not spec)

    def reranker(self, spec: Any) -> RerankerIO:
        reranker = resolve_reranker(spec)
        return BlockingReranker(reranker, owned=reranker is not spec)

    async def to_thread(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    async def run_cpu(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    async def call_when_idle(self, function: Callable[[], object]) -> None:
        function()

    async def import_module(self, module: str) -> ModuleType:
        return importlib.import_module(module)

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def monotonic(self) -> float:
        return time.monotonic()

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
