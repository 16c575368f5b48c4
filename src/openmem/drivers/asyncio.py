"""The ports of `AsyncMemory`: coroutines that suspend, with a thread pool for what would block."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import importlib
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

from .._model_calls import CheckedEmbedder, CheckedReranker
from ..ports import SdkCall
from ..ports.http import HttpIO, HttpSettings
from ..ports.local import LocalServer
from ..ports.models import Embedder, EmbedderIO, Reranker, RerankerIO
from ..ports.postgres import ConnectionParameters, PostgresIO, PostgresSettings
from .asyncio_models import AsyncEmbedder, AsyncReranker, SharedEmbedder
from .loop_budget import LoopBudget
from .sharing import Lease, SharedPostgres, closed_meanwhile

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_WORKERS = 4
CLOSE_GRACE_SECONDS = 2.0

logger = logging.getLogger("openmem")

_imported: dict[str, ModuleType] = {}


class AsyncPorts:
    """The outside world for one `AsyncMemory`.

    Args:
        max_workers: threads for calls that somebody waits for. A thread whose caller was cancelled
            finishes its call and does not count.
    """

    def __init__(self, max_workers: int | None = None) -> None:
        self.max_workers = max_workers or DEFAULT_WORKERS
        self._threads: ThreadPoolExecutor | None = None
        self._abandoned: set[Future[Any]] = set()
        self._in_flight = InFlight()
        self._turns = LoopBudget()
        self._shared = Lease(AsyncPorts, AsyncPorts, grace=CLOSE_GRACE_SECONDS)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    async def postgres(self, settings: PostgresSettings) -> PostgresIO:
        driver = await self.import_module("openmem.drivers.postgres.asyncpg")
        lease: Lease[PostgresIO] = Lease(settings, lambda: driver.AsyncpgIO(settings), grace=CLOSE_GRACE_SECONDS)
        return SharedPostgres(lease, await lease.acquire())

    async def connection_parameters(self, url: str, setting: str, *, ignores_environment: bool) -> ConnectionParameters:
        libpq = await self.import_module("openmem.drivers.postgres.libpq")
        parameters: ConnectionParameters = await self.to_thread(
            libpq.resolve, url, setting, for_asyncio=True, ignores_environment=ignores_environment
        )
        return parameters

    async def http(self, settings: HttpSettings) -> HttpIO:
        driver = await self.import_module("openmem.drivers.http.httpcore")
        io: HttpIO = await self.to_thread(driver.HttpcoreIO, settings)
        return io

    async def local_server(self, path: str | None) -> LocalServer:
        driver = await self.import_module("openmem.drivers.local")
        server: LocalServer = driver.LocalServerIO(path, self.to_thread)
        return server

    def embedder(self, embedder: Embedder, *, owned: bool) -> EmbedderIO:
        def make() -> AsyncEmbedder:
            ports = AsyncPorts(self.max_workers)
            return AsyncEmbedder(CheckedEmbedder(embedder), ports, self.max_workers, owned=owned, close=ports.close)

        # Whoever shares it holds it, so that the id is no other object's meanwhile.
        key = (AsyncEmbedder, id(embedder), self.max_workers)
        return SharedEmbedder(embedder, Lease(key, make))

    def reranker(self, reranker: Reranker, *, owned: bool) -> RerankerIO:
        return AsyncReranker(CheckedReranker(reranker), self, owned=owned)

    async def to_thread(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        in_context = functools.partial(contextvars.copy_context().run, function, *args, **kwargs)
        while True:
            work = self._submit(in_context)
            try:
                return await asyncio.wrap_future(work)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                wanted = task is not None and not task.cancelling()
                if wanted and self._closed:
                    raise closed_meanwhile() from None
                if not work.cancelled():
                    work.add_done_callback(functools.partial(_log_late, function))
                    self._replace_threads_if_stuck(work)
                elif wanted:
                    continue  # It had not begun when its threads were replaced.
                raise

    async def run_cpu(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._shared.call(lambda ports: ports.to_thread(function, *args, **kwargs))

    def _submit(self, function: Callable[[], R]) -> Future[R]:
        if self._closed:
            raise closed_meanwhile()
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.max_workers, thread_name_prefix="openmem")
        work = self._threads.submit(function)
        self._in_flight.add(work)
        return work

    def _replace_threads_if_stuck(self, abandoned: Future[Any]) -> None:
        """Give up the threads once nobody waits for any of them; what is queued moves to new ones."""
        self._abandoned = {work for work in (*self._abandoned, abandoned) if not work.done()}
        if len(self._abandoned) >= self.max_workers and self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None
            self._abandoned = set()

    async def take_turn(self) -> None:
        await self._turns.acquire()

    async def call_when_idle(self, function: Callable[[], object]) -> None:
        self._in_flight.on_idle(function)

    async def import_module(self, module: str) -> ModuleType:
        if self._closed:
            raise closed_meanwhile()
        if module not in _imported:
            _imported[module] = await self.to_thread(importlib.import_module, module)
        return _imported[module]

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def within(self, seconds: float, function: Callable[[], Coroutine[Any, Any, R]]) -> R:
        async with asyncio.timeout(seconds):
            return await function()

    def bind(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError("AsyncMemory is bound to a different event loop")

    def lock(self) -> asyncio.Lock:
        return asyncio.Lock()

    async def close(self) -> None:
        self._closed = True
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None
        await self._shared.close()


class InFlight:
    """The calls that have not ended, and what to do once there are none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: set[Future[Any]] = set()
        self._then: list[Callable[[], object]] = []

    def add(self, call: Future[Any]) -> None:
        """Count a call in, until it has ended."""
        with self._lock:
            self._calls.add(call)
        call.add_done_callback(self._remove)

    def on_idle(self, function: Callable[[], object]) -> None:
        """Call a function now, or in the thread that ends the last call."""
        with self._lock:
            self._then.append(function)
        self._run_due()

    def _remove(self, call: Future[Any]) -> None:
        with self._lock:
            self._calls.discard(call)
        self._run_due()

    def _run_due(self) -> None:
        due: list[Callable[[], object]] = []
        with self._lock:
            if not self._calls:
                due, self._then = self._then, []
        for function in due:
            function()


def _log_late(function: Callable[..., Any], work: Future[Any]) -> None:
    error = work.exception()
    label = function.label if isinstance(function, SdkCall) else "call"
    end = "ended" if error is None else f"raised {type(error).__name__}"
    changed = ""
    if isinstance(function, SdkCall):
        changed = "; nothing was changed"
        if function.mutates:
            changed = "; the backend was changed" if error is None else "; the backend may have been changed"
    logger.debug("a cancelled %s went on in its thread and %s%s", label, end, changed)
