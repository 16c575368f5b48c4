"""What providers may ask of the outside world, and how one implementation serves two modes.

A provider is written once, as plain ``async def``, and never touches a socket, a thread or a clock
itself. It asks the *ports* below, which exist in two modes:

* For `openmem.AsyncMemory` the ports are ordinary coroutines: they suspend on asyncpg, on
  ``httpx.AsyncClient``, on a thread pool, on ``asyncio.sleep``, and the event loop runs on.
* For `openmem.Memory` they are ``async def`` methods that *block and never suspend*: psycopg, a
  direct call, ``time.sleep``. A coroutine that only awaits such methods runs from start to end in a
  single ``send(None)``, so `run_blocking` can call it like a function, in any thread, also in one
  that has a running event loop (a notebook). No loop is started and none is needed.

So each provider, each statement and each rule is implemented once, and ``await`` keeps its
meaning for the type checker. The price is a discipline: a blocking port must never suspend.
`run_blocking` raises if one does, and the blocking methods are not part of the public interface,
so that nobody awaits them on a loop by mistake. gel-python shares its client code the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

from .http import HttpIO, HttpSettings
from .local import LocalServer
from .models import Embedder, EmbedderIO, Reranker, RerankerIO
from .postgres import ConnectionParameters, PostgresIO, PostgresSettings

__all__ = ["Ports", "SdkCall", "run_blocking"]

R = TypeVar("R")
P = ParamSpec("P")


def run_blocking(coroutine: Coroutine[Any, Any, R]) -> R:
    """The result of a coroutine whose ports block.

    Raises:
        RuntimeError: the coroutine suspended, which no blocking port may do.
    """
    try:
        coroutine.send(None)
    except StopIteration as finished:
        result: R = finished.value
        return result
    coroutine.close()
    raise RuntimeError(f"{coroutine!r} suspended on a blocking port")


@dataclass(frozen=True, slots=True)
class SdkCall(Generic[R]):
    """A blocking function with what a log may say about it.

    Attributes:
        function: what to call.
        label: what the call is for, as in ``"add on mem0"``.
        mutates: whether it can change what is stored.
    """

    function: Callable[..., R]
    label: str
    mutates: bool

    def __call__(self, *args: Any, **kwargs: Any) -> R:
        return self.function(*args, **kwargs)


class Ports(Protocol):
    """The outside world in one mode."""

    async def postgres(self, settings: PostgresSettings) -> PostgresIO:
        """A pool for this server. Makes no connection yet."""
        ...

    async def connection_parameters(self, url: str, setting: str, *, ignores_environment: bool) -> ConnectionParameters:
        """What libpq makes of a URL here. Makes no connection.

        Args:
            setting: the argument that holds the URL, for messages.
            ignores_environment: whether variables, service files and files in the user's home do not count.

        Raises:
            InvalidRequestError: a parameter is out of its range, or cannot be honoured in this mode.
        """
        ...

    async def http(self, settings: HttpSettings) -> HttpIO:
        """A client for this server. Makes no connection yet."""
        ...

    async def local_server(self, path: str | None) -> LocalServer:
        """The embedded server of a directory; None for the user's own. Starts nothing yet."""
        ...

    def embedder(self, embedder: Embedder, *, owned: bool) -> EmbedderIO:
        """An embedder made safe to call from a provider.

        Args:
            owned: whether it is closed with the client.
        """
        ...

    def reranker(self, reranker: Reranker, *, owned: bool) -> RerankerIO:
        """A reranker made safe to call, as `embedder` does."""
        ...

    async def to_thread(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """The result of a blocking function, called where it may block, in the caller's context.

        A cancelled caller is free at once, while the function goes on to its end, which is logged.
        """
        ...

    async def run_cpu(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Like `to_thread`, for a function that keeps the processor busy: clients share the threads for it."""
        ...

    async def take_turn(self) -> None:
        """Wait until work that takes less time than handing it to a thread may begin; it must follow at once."""
        ...

    async def call_when_idle(self, function: Callable[[], object]) -> None:
        """Call a function that gives up what running calls use, after the last of them; without waiting."""
        ...

    async def import_module(self, module: str) -> ModuleType:
        """Import a module where importing may block."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that nobody sets; only differences mean something."""
        ...

    def now(self) -> datetime:
        """The time in UTC, by this machine's clock, which people and programs can set."""
        ...

    async def within(self, seconds: float, function: Callable[[], Coroutine[Any, Any, R]]) -> R:
        """The result of a coroutine function, if it comes in time. One that is late ends unheard.

        Raises:
            TimeoutError: it took longer.
        """
        ...

    def bind(self) -> None:
        """Belong to the running event loop, if calls need one.

        Raises:
            RuntimeError: they belong to another one already.
        """
        ...

    def lock(self) -> AbstractAsyncContextManager[object, bool | None]:
        """A new mutual exclusion lock."""
        ...

    async def close(self) -> None:
        """Release threads. Idempotent."""
        ...
