"""What instances on one event loop share: connections and threads, made by the first and closed after the last.

An application that makes an `AsyncMemory` for every request would otherwise connect for every request.
So instances with equal settings use one pool, and the rules are these:

* What is shared is closed when the last instance that uses it is closed.
* If it was opened from more than one task, as requests do, it is kept for `IDLE_SECONDS`, for the
  next one. Code that opens and closes one instance after another in one task, such as a script, has
  everything closed when `close` returns.
* It is closed with its loop. asyncio has no hook for that but one: whoever ends a loop, as `asyncio.run`
  does, calls `loop.shutdown_asyncgens`, which closes the asynchronous generators that were begun on
  it. So each shared thing is held by one.

Nothing is shared between loops, hence nothing between threads.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, cast

from .._forking import PerProcess
from ..errors import ProviderError, unavailable
from ..ports.postgres import PostgresIO, Statement, Transaction

IDLE_SECONDS = 0.5


class Closable(Protocol):
    """Something that holds connections or threads."""

    async def close(self) -> None:
        """Release them. Idempotent."""
        ...


T = TypeVar("T", bound=Closable)
R = TypeVar("R")


async def held(value: T) -> AsyncGenerator[T]:
    """Hold `value` until this generator is closed, at the latest by the end of the loop.

    A loop that was copied by a fork may be ended in the child too, where the value is the parent's.
    """
    owner = os.getpid()
    try:
        yield value
    finally:
        if os.getpid() == owner:
            await value.close()


class RefCounted(Generic[T]):
    """Something that instances of one loop use together. Remembered for `IDLE_SECONDS` after its last use."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._holder: AsyncGenerator[T] | None = None
        self._ending: AsyncGenerator[T] | None = None
        self._value: T | None = None
        self._users = 0
        self._last_task: weakref.ref[asyncio.Task[Any]] | None = None
        self._is_kept = False
        self._timer: asyncio.TimerHandle | None = None
        self._closings: set[asyncio.Task[None]] = set()

    @property
    def has_ended(self) -> bool:
        """Whether ``shutdown_asyncgens`` has closed what is shared, after which some use their loop again."""
        return self._holder is not None and getattr(self._holder, "ag_frame", None) is None

    async def acquire(self) -> T:
        """Count a user in. Does not suspend."""
        task = asyncio.current_task()
        assert task is not None
        if self._last_task is not None and self._last_task() is not task:
            self._is_kept = True
        self._last_task = weakref.ref(task)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._value is None:
            self._holder = held(self._make())
            self._value = await anext(self._holder)
        self._users += 1
        return self._value

    def release(self) -> asyncio.Task[None] | None:
        """Count a user out. If it was the last, and nobody else is expected, what closes is returned."""
        self._users -= 1
        if self._users:
            return None
        # The timer holds this object, so that whoever acquires it in the meantime finds it.
        self._timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._expire)
        return None if self._is_kept else self._close()

    def _expire(self) -> None:
        self._timer = None
        if self._is_kept:
            self._close()

    def _close(self) -> asyncio.Task[None] | None:
        holder, self._holder, self._value = self._holder, None, None
        if holder is None:
            return None
        # A task that is cancelled before it begins would drop the generator, and the end of the loop not find it.
        self._ending = holder
        closing = asyncio.get_running_loop().create_task(_end(holder))
        self._closings.add(closing)
        closing.add_done_callback(self._closings.discard)
        return closing


async def _end(holder: AsyncGenerator[object]) -> None:
    """Close what a generator holds, unless the end of the loop is about to do so."""
    if not getattr(holder, "ag_running", False):
        await holder.aclose()


RefCountedByLoop: TypeAlias = weakref.WeakValueDictionary[tuple[asyncio.AbstractEventLoop, Hashable], RefCounted[Any]]

_shared: PerProcess[RefCountedByLoop] = PerProcess(
    weakref.WeakValueDictionary, contents=lambda shared: [*shared.items()]
)


class Lease(Generic[T]):
    """One instance's use of something shared. Its calls can be broken off without disturbing other instances.

    Args:
        key: what is the same in all instances that share.
        make: makes what is shared, for the first of them.
        grace: seconds that `close` gives running calls to finish.

    Attributes:
        value: what is shared, from `acquire` until `close`.
    """

    def __init__(self, key: Hashable, make: Callable[[], T], *, grace: float = 0.0) -> None:
        self._key = key
        self._make = make
        self._grace = grace
        self._shared: RefCounted[T] | None = None
        self.value: T | None = None
        self._calls: set[asyncio.Timeout] = set()
        self._idle: asyncio.Future[None] | None = None
        self._closed = False

    async def acquire(self) -> T:
        """What is shared on the running loop, made if need be. Does not suspend."""
        if self._closed:
            raise closed_meanwhile()
        if self._shared is None or self._shared.has_ended:
            key = (asyncio.get_running_loop(), self._key)
            shared = _shared.get()
            found = cast("RefCounted[T] | None", shared.get(key))
            self._shared = RefCounted(self._make) if found is None or found.has_ended else found
            shared[key] = self._shared
            self.value = await self._shared.acquire()
        return cast("T", self.value)

    async def call(self, function: Callable[[T], Awaitable[R]]) -> R:
        """The result of a call to what is shared.

        Raises:
            ProviderError: ``provider_unavailable``; this instance is closed, or was closed meanwhile.
        """
        value = await self.acquire()
        limit = asyncio.timeout(None)
        try:
            async with limit:
                self._calls.add(limit)
                try:
                    return await function(value)
                finally:
                    self._end_call(limit)
        except TimeoutError:
            if limit.expired():
                raise closed_meanwhile() from None
            raise

    def _end_call(self, limit: asyncio.Timeout) -> None:
        self._calls.discard(limit)
        if not self._calls and self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    async def close(self) -> None:
        """End this instance's use: running calls get the grace period, then they fail. Idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._wait_until_idle()
        finally:
            for limit in self._calls:
                limit.reschedule(asyncio.get_running_loop().time())
            closing = self._release()
        if closing is not None:
            await closing

    def _release(self) -> asyncio.Task[None] | None:
        shared, self._shared, self.value = self._shared, None, None
        return None if shared is None else shared.release()

    async def _wait_until_idle(self) -> None:
        """Wait until no call runs, for the grace period at most."""
        if self._calls and self._grace:
            self._idle = asyncio.get_running_loop().create_future()
            await asyncio.wait({self._idle}, timeout=self._grace)


def closed_meanwhile() -> ProviderError:
    """The error of a call whose instance was closed before it ended."""
    return unavailable("the client was closed while this call ran")


class SharedPostgres:
    """The `PostgresIO` port on connections that instances with equal settings share."""

    def __init__(self, lease: Lease[PostgresIO], io: PostgresIO) -> None:
        self._lease = lease
        self.cache = io.cache

    async def execute(self, statement: Statement[R]) -> R:
        return await self._lease.call(lambda io: io.execute(statement))

    async def run_script(self, sql: str) -> None:
        await self._lease.call(lambda io: io.run_script(sql))

    async def run_outside_transaction(self, sql: str) -> None:
        await self._lease.call(lambda io: io.run_outside_transaction(sql))

    async def transact(self, work: Callable[[Transaction], Awaitable[R]], *, is_snapshot: bool = False) -> R:
        return await self._lease.call(lambda io: io.transact(work, is_snapshot=is_snapshot))

    async def fill(self) -> None:
        await self._lease.call(lambda io: io.fill())

    def usage(self) -> tuple[int, int]:
        return (0, 0) if self._lease.value is None else self._lease.value.usage()

    async def close(self) -> None:
        await self._lease.close()
