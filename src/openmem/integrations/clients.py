"""Clients for code that is called from any thread and on any event loop.

An `openmem.AsyncMemory` belongs to one event loop, and refuses others. Frameworks for agents call from many: a blocking
entry point often runs ``asyncio.run`` in a thread of its own, once for each call. `MemoryClients` makes an
`openmem.AsyncMemory` for each loop and closes it with the loop, and has one `openmem.Memory` for those who block.

Integrations take whatever client they are given through `runner_of`, and perform operations, so that each is written
once for both modes.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeAlias, TypeVar

from .._copying import Shared
from .._forking import PerProcess
from ..client import Client
from ..drivers.sharing import held
from ..memory import Memory
from ..operations import Operation
from ..ports import run_blocking
from ..providers.memory import MemoryStore

if TYPE_CHECKING:
    from ..async_memory import AsyncMemory

R = TypeVar("R")

CLOSE_SECONDS: Final = 5.0
"""How long `MemoryClients.close` waits for a loop that runs in another thread."""


class Runner(Protocol):
    """Performs operations from any thread and on any event loop."""

    def run(self, op: Operation[R], *, idempotency_key: str | None = None) -> R:
        """Perform an operation, and block until it is done.

        Args:
            op: what to do.
            idempotency_key: as in `openmem.Memory.add`.

        Raises:
            OMPError: the operation was refused or failed.
            RuntimeError: the client is closed, or cannot be used from here.
        """
        ...

    async def arun(self, op: Operation[R], *, idempotency_key: str | None = None) -> R:
        """`run` as a coroutine, which does not block the loop."""
        ...

    def close(self) -> None:
        """Release what the runner made itself; a client that it was given stays open. Idempotent."""
        ...

    async def aclose(self) -> None:
        """`close` for code on an event loop."""
        ...


class MemoryClients(Shared):
    """Clients with the same settings for every thread and every event loop of a process.

    Settings are checked at once, and nothing connects before the first verb. Each event loop that asks gets its own
    `openmem.AsyncMemory`, which is closed with the loop, whether the loop is ended by ``asyncio.run`` or by
    ``loop.close()``. What is left is closed by `close`, or when the interpreter ends. A process that was forked has
    clients of its own.

    With ``provider="memory"`` all of them see the same memories.

    Args:
        provider: as in `openmem.Memory`.
        settings: the other arguments of `openmem.Memory`.

    Raises:
        InvalidRequestError: a setting is missing, out of range, or contradicts another.
        UnsupportedProviderError: there is no such provider.
        ImportError: an extra is not installed; the message has the ``pip install`` command.
    """

    def __init__(self, provider: str = "postgres", **settings: Any) -> None:
        if provider == "memory" and settings.get("store") is None:
            settings["store"] = MemoryStore()
        self._provider = provider
        self._settings = settings
        self._memory = Memory(provider, **settings)
        self._loops = PerProcess(_Loops)
        self._finalizer = weakref.finalize(self, _close, self._memory, self._loops)

    def __repr__(self) -> str:
        """The provider and whether it is closed; no settings, since they hold credentials."""
        return f"<MemoryClients, provider {self._provider!r}{'' if self._finalizer.alive else ', closed'}>"

    def blocking(self) -> Memory:
        """The client for code that blocks; all threads share it."""
        return self._memory

    def current(self) -> AsyncMemory:
        """The client of the running event loop, made at the first call. Whoever gets it need not close it.

        Raises:
            RuntimeError: no event loop runs here, or the clients are closed.
            ImportError: the extra ``async`` is not installed.
        """
        loops, loop = self._loops.get(), asyncio.get_running_loop()
        if not self._finalizer.alive:
            raise RuntimeError("MemoryClients is closed")
        client = loops.of(loop)
        if client is None:
            from ..async_memory import AsyncMemory  # noqa: PLC0415 - needs an extra that `blocking` does without

            client = AsyncMemory(self._provider, **self._settings)
            if not loops.add(loop, client):
                raise RuntimeError("MemoryClients is closed")
        return client

    def run(self, op: Operation[R], *, idempotency_key: str | None = None) -> R:
        """Perform an operation with the client that blocks."""
        return run_blocking(self.blocking().client.run(op, idempotency_key=idempotency_key))

    async def arun(self, op: Operation[R], *, idempotency_key: str | None = None) -> R:
        """Perform an operation with the client of the running event loop."""
        return await self.current().client.run(op, idempotency_key=idempotency_key)

    def close(self) -> None:
        """Close the clients of all threads and loops. Idempotent.

        On a running loop that has a client, that one is closed by a task of the loop; `aclose` waits for it.
        """
        self._finalizer()

    async def aclose(self) -> None:
        """`close`, and wait until the running loop's own client is closed, too. Idempotent."""
        try:
            await self._loops.get().end(asyncio.get_running_loop())
        finally:
            await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


AnyClient: TypeAlias = "Memory | AsyncMemory | MemoryClients"
"""What an integration may be given."""


def runner_of(client: AnyClient) -> Runner:
    """What performs operations with a client: clients of any loop themselves, or a single client as it is.

    A `openmem.Memory` serves coroutines from a thread. An `openmem.AsyncMemory` serves other loops and threads through
    its own loop, as long as that runs. Neither is closed by the runner.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(client, MemoryClients):
        return client
    if isinstance(client, Memory):
        return _Blocking(client)
    if isinstance(getattr(client, "client", None), Client):
        return _OfOneLoop(client)
    raise TypeError(f"a {type(client).__name__} is no client; pass a Memory, an AsyncMemory or a MemoryClients")


class _Loops:
    """The clients of one process by their event loops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[asyncio.AbstractEventLoop, tuple[AsyncMemory, AsyncGenerator[Any]]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def of(self, loop: asyncio.AbstractEventLoop) -> AsyncMemory | None:
        """The client of a loop, if it has one."""
        found = self._clients.get(loop)
        return None if found is None else found[0]

    def add(self, loop: asyncio.AbstractEventLoop, client: AsyncMemory) -> bool:
        """Keep the client of the running loop until the loop ends; False if it is too late for that."""
        with self._lock:
            if self._is_closed:
                return False
            for other in [other for other in self._clients if other.is_closed()]:
                del self._clients[other]
            holder = held(_Entry(self, loop, client))
            _begin(holder)
            _end_generators_on_close(loop)
            self._clients[loop] = client, holder
        return True

    def remove(self, loop: asyncio.AbstractEventLoop) -> None:
        """Forget the client of a loop."""
        with self._lock:
            self._clients.pop(loop, None)

    async def end(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the client of the running loop, if it has one."""
        client, holder = self._clients.get(loop, (None, None))
        if client is not None and holder is not None:
            await client.close()
            with suppress(RuntimeError):  # The loop is about to close it, too.
                await holder.aclose()

    def close(self) -> None:
        """Close the clients of all loops, and take no more."""
        with self._lock:
            self._is_closed = True
            loops = list(self._clients)
        with ExitStack() as stack:
            for loop in loops:
                stack.callback(self._close_on, loop)

    def _close_on(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop.is_closed():
            return
        if loop is _running_loop():
            task = loop.create_task(self.end(loop))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        elif loop.is_running():
            _run_elsewhere(loop, self.end(loop))
        else:
            _run_idle(loop, lambda: self.end(loop))


@dataclass(frozen=True, slots=True)
class _Entry:
    """The client of one loop, as what is to be closed with the loop."""

    loops: _Loops
    loop: asyncio.AbstractEventLoop
    client: AsyncMemory

    async def close(self) -> None:
        """Close the client; the loop's next caller gets another one."""
        self.loops.remove(self.loop)
        await self.client.close()


@dataclass(frozen=True, slots=True)
class _CloseOfLoop:
    """``loop.close()``, with what asyncio asks for before it: the generators that were begun on the loop are closed."""

    loop: asyncio.AbstractEventLoop
    close: Callable[[], None]
    process: int

    def __call__(self) -> None:
        # A loop that was copied by a fork has the sockets of its parent.
        if not self.loop.is_closed() and not self.loop.is_running() and os.getpid() == self.process:
            _run_idle(self.loop, self.loop.shutdown_asyncgens)
        self.close()


def _end_generators_on_close(loop: asyncio.AbstractEventLoop) -> None:
    """Let ``loop.close()`` close what `held` holds on the loop, since not everybody calls ``shutdown_asyncgens``."""
    if not isinstance(loop.close, _CloseOfLoop):
        with suppress(AttributeError):  # A loop of another library may refuse.
            loop.close = _CloseOfLoop(loop, loop.close, os.getpid())  # type: ignore[method-assign]


class _Blocking:
    """Performs operations with a `Memory`, those of coroutines in a thread."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def run(self, op: Operation[R], *, idempotency_key: str | None = None) -> R:
        return run_blocking(self._memory.client.run(op, idempotency_key=idempotency_key))

    async def arun(self, op: Operation[R], *, idempotency_key: str | None = None) -> R:
        return await asyncio.to_thread(self.run, op, idempotency_key=idempotency_key)

    def close(self) -> None:
        pass

    async def aclose(self) -> None:
        pass


class _OfOneLoop(Shared):
    """Performs operations with an `AsyncMemory`, those of other loops and threads on its own loop while that runs.

    Its own loop is the one that ran when this was made, else the one of the first coroutine.
    """

    def __init__(self, memory: AsyncMemory) -> None:
        self._memory = memory
        loop = _running_loop()
        self._owner: PerProcess[list[asyncio.AbstractEventLoop]] = PerProcess(list)
        self._owner.get().extend([] if loop is None else [loop])

    def run(self, op: Operation[R], *, idempotency_key: str | None = None) -> R:
        owner = next(iter(self._owner.get()), None)
        if owner is None or not owner.is_running() or owner is _running_loop():
            raise RuntimeError(
                "this integration was given an AsyncMemory, which serves a blocking call only while its event loop "
                "runs in another thread; pass a Memory, or MemoryClients, which serves every thread and loop"
            )
        future = asyncio.run_coroutine_threadsafe(self._perform(op, idempotency_key), owner)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def arun(self, op: Operation[R], *, idempotency_key: str | None = None) -> R:
        loop, owners = asyncio.get_running_loop(), self._owner.get()
        if not owners:
            owners.append(loop)
        if owners[0] is loop or not owners[0].is_running():
            return await self._perform(op, idempotency_key)  # It refuses if it belongs to a loop that has ended.
        performing = self._perform(op, idempotency_key)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(performing, owners[0]))

    async def _perform(self, op: Operation[R], idempotency_key: str | None) -> R:
        return await self._memory.client.run(op, idempotency_key=idempotency_key)

    def close(self) -> None:
        pass

    async def aclose(self) -> None:
        pass


def _close(memory: Memory, loops: PerProcess[_Loops]) -> None:
    with ExitStack() as stack:
        stack.callback(memory.close)
        own = loops.peek()
        if own is not None:
            stack.callback(own.close)


def _begin(generator: AsyncGenerator[Any]) -> None:
    """Run a generator that does not suspend to its first value, on the running loop, which then closes it."""
    with suppress(StopIteration):
        generator.__anext__().send(None)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _run_elsewhere(loop: asyncio.AbstractEventLoop, closing: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on a loop that runs in another thread, and wait, unless that thread is itself waiting."""
    try:
        future: Future[None] = asyncio.run_coroutine_threadsafe(closing, loop)
        future.result(CLOSE_SECONDS)
    except (RuntimeError, TimeoutError, CancelledError):
        # Where the loop has ended, what was begun on it was closed with it.
        if loop.is_closed():
            closing.close()


def _run_idle(loop: asyncio.AbstractEventLoop, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine on a loop that does not run, in a thread if another loop runs in this one."""
    if _running_loop() is None:
        loop.run_until_complete(make())
        return
    thread = threading.Thread(target=lambda: loop.run_until_complete(make()), name="openmem-close")
    thread.start()
    thread.join()
