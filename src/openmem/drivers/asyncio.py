"""The ports of `AsyncMemory`: coroutines that suspend, with a thread pool for what would block."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import importlib
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

from ..embedders import Embedder, aembed_checked, embed_checked, resolve_embedder, warm_up_checked
from ..ports import SdkCall
from ..ports.http import HttpIO, HttpSettings
from ..ports.local import LocalServer
from ..ports.models import EmbedderIO, RerankerIO, Vectors
from ..ports.postgres import ConnectionParameters, PostgresIO, PostgresSettings
from ..rerankers import Reranker, arerank_checked, rerank_checked, resolve_reranker
from ..rerankers import warm_up_checked as warm_up_reranker
from .batching import Batching
from .sharing import Share, SharedPostgres, closed_meanwhile
from .tasks import task_group
from .turns import Turns

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_WORKERS = 4
THREAD_TEXTS = 32
REQUEST_TEXTS = 64
REQUESTS = 4
CLOSE_GRACE = 2.0

logger = logging.getLogger("openmem")

_imported: dict[str, ModuleType] = {}


class AsyncEmbedder:
    """An embedder called by its own `aembed`, or else in a thread, or in place where that takes less.

    Single texts are embedded together with those of other tasks. Each by itself would be a request to
    a remote service, and to hand it over to a thread takes longer than to embed it, since loop and
    threads compete for the GIL.
    For the same reason an embedder may have short texts embedded in place; see `Embedder`.

    Args:
        ports: threads of its own.
        owned: whether the embedder is closed with this.
    """

    def __init__(self, embedder: Embedder, ports: AsyncPorts, *, owned: bool) -> None:
        self._embedder = embedder
        self._ports = ports
        self._owned = owned
        self._is_remote = hasattr(embedder, "aembed")
        if self._is_remote:
            self._single = Batching(self._by_itself, most_texts=REQUEST_TEXTS, most_calls=REQUESTS)
        else:
            self._single = Batching(self._in_thread, most_texts=THREAD_TEXTS, most_calls=ports.max_workers)
        self._turns = Turns()
        self._is_loaded = False
        self.model = embedder.model
        self.dim = embedder.dim

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if not self._is_remote and sum(map(len, texts)) <= getattr(self._embedder, "quick_characters", 0):
            await self._turns.take()
            return embed_checked(self._embedder, texts)
        if len(texts) == 1:
            return [await self._single.embed(texts[0])]
        if self._is_remote:
            return await self._in_requests(texts)
        return await self._in_thread(texts)

    async def _by_itself(self, texts: Sequence[str]) -> Vectors:
        return await aembed_checked(self._embedder, texts)

    async def _in_thread(self, texts: Sequence[str]) -> Vectors:
        return await self._ports.to_thread(embed_checked, self._embedder, texts)

    async def _in_requests(self, texts: Sequence[str]) -> Vectors:
        """Some requests at a time, none so large that reading its answer would hold up the loop."""
        starts = iter(range(0, len(texts), REQUEST_TEXTS))
        answers: dict[int, Vectors] = {}

        async def one_after_another() -> None:
            for start in starts:
                answers[start] = await self._by_itself(texts[start : start + REQUEST_TEXTS])

        async with task_group() as group:
            for _ in range(REQUESTS):
                group.create_task(one_after_another())
        return [vector for start in sorted(answers) for vector in answers[start]]

    async def load(self) -> None:
        if not self._is_loaded:
            await self._ports.to_thread(warm_up_checked, self._embedder)
            self._is_loaded = True

    async def close(self) -> None:
        try:
            if self._owned:
                await _close(self._embedder, self._ports)
        finally:
            await self._ports.close()


class AsyncReranker:
    """A reranker called by its own `arerank`, or else in a thread.

    Args:
        ports: whose threads it uses.
        owned: whether the reranker is closed with this.
    """

    def __init__(self, reranker: Reranker, ports: AsyncPorts, *, owned: bool) -> None:
        self._reranker = reranker
        self._ports = ports
        self._owned = owned

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        if hasattr(self._reranker, "arerank"):
            return await arerank_checked(self._reranker, query, texts)
        return await self._ports.to_thread(rerank_checked, self._reranker, query, texts)

    async def load(self) -> None:
        await self._ports.to_thread(warm_up_reranker, self._reranker)

    async def close(self) -> None:
        if self._owned:
            await _close(self._reranker, self._ports)


async def _close(thing: Embedder | Reranker, ports: AsyncPorts) -> None:
    aclose = getattr(thing, "aclose", None)
    close = getattr(thing, "close", None)
    if aclose is not None:
        await aclose()
    elif close is not None:
        await ports.to_thread(close)


class SharedEmbedder:
    """One client's use of an embedder, which it shares, threads included, with others that were given the same."""

    def __init__(self, embedder: Embedder, max_workers: int, *, owned: bool) -> None:
        self.model = embedder.model
        self.dim = embedder.dim
        # Whoever shares it holds it, so that the id is no other object's meanwhile.
        key = (AsyncEmbedder, id(embedder), max_workers)
        self._share = Share(key, lambda: AsyncEmbedder(embedder, AsyncPorts(max_workers), owned=owned))

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return await self._share.call(lambda embedder: embedder.embed(texts))

    async def load(self) -> None:
        await self._share.call(lambda embedder: embedder.load())

    async def close(self) -> None:
        await self._share.close()


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
        self._running = Running()
        self._shared = Share(AsyncPorts, AsyncPorts, grace=CLOSE_GRACE)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    async def postgres(self, settings: PostgresSettings) -> PostgresIO:
        driver = await self.import_module("openmem.drivers.postgres.asyncpg")
        share: Share[PostgresIO] = Share(settings, lambda: driver.AsyncpgIO(settings), grace=CLOSE_GRACE)
        return SharedPostgres(share, await share.join())

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

    def embedder(self, spec: Any) -> EmbedderIO:
        embedder = resolve_embedder(spec)
        return SharedEmbedder(embedder, self.max_workers, owned=embedder is not spec)

    def reranker(self, spec: Any) -> RerankerIO:
        reranker = resolve_reranker(spec)
        return AsyncReranker(reranker, self, owned=reranker is not spec)

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
        self._running.add(work)
        return work

    def _replace_threads_if_stuck(self, abandoned: Future[Any]) -> None:
        """Give up the threads once nobody waits for any of them; what is queued moves to new ones."""
        self._abandoned = {work for work in (*self._abandoned, abandoned) if not work.done()}
        if len(self._abandoned) >= self.max_workers and self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None
            self._abandoned = set()

    async def call_when_idle(self, function: Callable[[], object]) -> None:
        self._running.at_rest(function)

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


class Running:
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

    def at_rest(self, function: Callable[[], object]) -> None:
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
    what = function.what if isinstance(function, SdkCall) else "call"
    end = "ended" if error is None else f"raised {type(error).__name__}"
    changed = ""
    if isinstance(function, SdkCall):
        changed = "; nothing was changed"
        if function.changes:
            changed = "; the backend was changed" if error is None else "; the backend may have been changed"
    logger.debug("a cancelled %s went on in its thread and %s%s", what, end, changed)
