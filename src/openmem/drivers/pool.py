"""A connection pool, written once for both colours.

At most `max_size` connections exist; the most recently used idle one is lent first, so that a
quiet pool shrinks from the other end. A connection that failed or was cancelled in the middle of
a query keeps its place until it was made clean or discarded, so that the bound always holds.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from ..errors import unavailable

C = TypeVar("C")

IDLE_LIFETIME = 300.0


class Slots(Protocol):
    """A semaphore with a time limit, in one colour."""

    async def acquire(self, timeout: float) -> bool:
        """Take a slot; False if none came free within `timeout` seconds."""
        ...

    def release(self) -> None:
        """Give a slot back."""
        ...


class Pool(Generic[C]):
    """Connections to one server.

    Args:
        slots: a semaphore of `max_size`.
        connect: opens a connection.
        is_usable: whether an idle connection still stands, told without a round trip.
        discard: drops a connection at once, without waiting for the server.
        min_size: idle connections that are kept however long they are unused.
        timeout: seconds that `acquire` waits for a free connection.
    """

    def __init__(
        self,
        slots: Slots,
        connect: Callable[[], Awaitable[C]],
        is_usable: Callable[[C], bool],
        discard: Callable[[C], None],
        *,
        min_size: int,
        max_size: int,
        timeout: float,
    ) -> None:
        self._slots = slots
        self._connect = connect
        self._is_usable = is_usable
        self._discard = discard
        self._min_size = min_size
        self._max_size = max_size
        self._timeout = timeout
        self._idle: deque[tuple[C, float]] = deque()
        self._lent: set[C] = set()
        self._closed = False

    async def acquire(self) -> C:
        """An idle connection, or a new one.

        Raises:
            ProviderError: `provider_unavailable`; all connections stayed busy for `timeout` seconds.
        """
        if not await self._slots.acquire(self._timeout):
            raise unavailable(
                f"all {self._max_size} connections of the pool were busy for {self._timeout:g} s; "
                "raise pool_max_size, or do less at once"
            )
        try:
            connection = self._pop_idle()
            if connection is None:
                if self._closed:
                    raise unavailable("the client was closed while this call waited for a connection")
                connection = await self._connect()
        except BaseException:
            self._slots.release()
            raise
        self._lent.add(connection)
        return connection

    def _pop_idle(self) -> C | None:
        while self._idle:
            try:
                connection, _ = self._idle.pop()
            except IndexError:
                return None
            if self._is_usable(connection):
                return connection
            self._discard(connection)
        return None

    def release(self, connection: C, *, reusable: bool = True) -> None:
        """Take a connection back, for the next caller if it is clean."""
        self._lent.discard(connection)
        if reusable and not self._closed and self._is_usable(connection):
            self._idle.append((connection, time.monotonic()))
            self._shed_unused()
        else:
            self._discard(connection)
        self._slots.release()

    def _shed_unused(self) -> None:
        deadline = time.monotonic() - IDLE_LIFETIME
        while len(self._idle) > max(1, self._min_size) and self._idle[0][1] < deadline:
            self._discard(self._idle.popleft()[0])

    async def fill(self) -> None:
        """Open connections until `min_size` are there."""
        opened: list[C] = []
        try:
            while len(self._idle) + len(opened) < self._min_size:
                opened.append(await self.acquire())
        finally:
            for connection in opened:
                self.release(connection)

    async def drain(self, grace: float) -> list[C]:
        """Close the pool, and hand over the connections that came to rest within `grace` seconds.

        Those still busy by then are discarded, so that their calls fail instead of hanging.
        """
        self._closed = True
        idle = [connection for connection, _ in self._idle]
        self._idle.clear()
        deadline = time.monotonic() + grace
        try:
            for _ in range(self._max_size):
                if not await self._slots.acquire(max(0.0, deadline - time.monotonic())):
                    break
        finally:
            for connection in list(self._lent):
                self._discard(connection)
        return idle
