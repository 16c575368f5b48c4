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
        connect: opens a connection in the place that was taken for it; calls `vacate` when it gives up.
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
            ProviderError: `provider_unavailable`; all connections stayed busy for `timeout` seconds,
                or the pool is closed.
        """
        self._check_open()
        if not await self._slots.acquire(self._timeout):
            raise unavailable(
                f"all {self._max_size} connections of the pool were busy for {self._timeout:g} s; "
                "raise pool_max_size, or do less at once"
            )
        if self._closed:
            self.vacate()
            self._check_open()
        connection = self._pop_idle() or await self._connect()
        self._lent.add(connection)
        if self._closed:
            self.release(connection, reusable=False)
            self._check_open()
        return connection

    def _check_open(self) -> None:
        if self._closed:
            raise unavailable("the client was closed while this call ran")

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
        if reusable and not self._closed and self._is_usable(connection):
            self._idle.append((connection, time.monotonic()))
            self._shed_unused()
        else:
            self._discard(connection)
        self.forget(connection)

    def forget(self, connection: C) -> None:
        """Give the place of a lent connection away; what becomes of it is the caller's business."""
        self._lent.discard(connection)
        self.vacate()

    def vacate(self) -> None:
        """Give the place of a connection away that was not opened after all."""
        self._slots.release()

    def _shed_unused(self) -> None:
        deadline = time.monotonic() - IDLE_LIFETIME
        while len(self._idle) > max(1, self._min_size):
            oldest = self._idle.popleft()
            if oldest[1] >= deadline:
                self._idle.appendleft(oldest)
                return
            self._discard(oldest[0])

    def usage(self) -> tuple[int, int]:
        """How many connections are lent, and how many idle."""
        return len(self._lent), len(self._idle)

    async def fill(self) -> None:
        """Open connections until `min_size` are there, busy ones included."""
        opened: list[C] = []
        try:
            while len(self._idle) + len(self._lent) < self._min_size:
                opened.append(await self.acquire())
        finally:
            for connection in opened:
                self.release(connection)

    async def drain(self, grace: float) -> None:
        """Refuse new calls, and wait up to `grace` seconds for the running ones to finish."""
        self._closed = True
        deadline = time.monotonic() + grace
        taken = 0
        try:
            while taken < self._max_size and await self._slots.acquire(max(0.0, deadline - time.monotonic())):
                taken += 1
        finally:
            for _ in range(taken):
                self._slots.release()

    def connections(self) -> tuple[list[C], list[C]]:
        """What is left in a drained pool: the idle connections, which it gives up, and those still lent."""
        idle: list[C] = []
        while self._idle:
            idle.append(self._idle.pop()[0])
        return idle, list(self._lent)
