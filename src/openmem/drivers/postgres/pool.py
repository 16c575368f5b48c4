"""A connection pool, written once for both modes.

At most `max_size` connections exist; the most recently used idle one is handed out first, so that a
quiet pool shrinks from the other end. A connection that failed or was cancelled in the middle of
a query keeps its slot until it was made clean or discarded, so that the bound always holds.

A network may forget a connection and tell neither end: a NAT gateway or a load balancer that saw no
packet for some minutes, a tunnel whose other half is gone. Four rules keep callers from waiting for
answers that cannot come:

* The kernel gives up a connection whose packets nobody acknowledges; see `.liveness`.
* A connection that was idle for `CHECK_AFTER_SECONDS` is asked for a sign of life before it is handed out.
* When a connection turns out to be dead, those that have been idle since before are dropped unasked,
  since the same network carried them. So one caller pays for all of them.
* When a statement has no answer for `SILENCE_SECONDS`, another connection asks the server whether it
  works on it (`acquire_beside`). A slow statement gets its time, a lost one does not.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from ...errors import unavailable
from ...ports.errors import ConnectionFailedError

C = TypeVar("C")

_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)

# A caller meets the check, or the silence, a new connection, the look and the grace, which take less than five seconds
# together.
IDLE_LIFETIME_SECONDS = 300.0
MAX_LIFETIME_SECONDS = 3_600.0
CHECK_AFTER_SECONDS = 5.0
CHECK_TIMEOUT_SECONDS = 1.5
SILENCE_SECONDS = 2.0
LOOK_TIMEOUT_SECONDS = 0.5
SILENCE_GRACE_SECONDS = 0.3


class Semaphore(Protocol):
    """A semaphore with a time limit, in one mode."""

    async def acquire(self, timeout: float) -> bool:
        """Take a slot; False if none came free within `timeout` seconds."""
        ...

    def release(self) -> None:
        """Give a slot back."""
        ...


def now() -> float:
    """Seconds on a clock that nobody sets, and that goes on while the machine sleeps, where there is one."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


class Member(Generic[C]):
    """A connection in the pool.

    Attributes:
        connection: the driver's own object.
        opened, retires: when it was opened, and when it has lived long enough.
        answered: when the server last answered on it.
        checked_out: when it was handed out last.
    """

    __slots__ = ("answered", "checked_out", "connection", "opened", "retires")

    def __init__(self, connection: C, lifetime: float) -> None:
        self.connection = connection
        self.opened = self.answered = self.checked_out = now()
        self.retires = self.opened + lifetime


class Pool(Generic[C]):
    """Connections to one server.

    Args:
        semaphore: one of `max_size`.
        connect: opens a connection in the slot that was taken for it, within so many seconds, or as long as the
            settings allow; calls `release_slot` when it gives up.
        check: whether the server answers on an idle connection within `CHECK_TIMEOUT_SECONDS`. When it is interrupted,
            it sees to it that the connection is released or evicted.
        is_usable: whether an idle connection is still open, found out without a round trip.
        discard: drops a connection at once, without waiting for the server.
        min_size: idle connections that are kept however long they are unused.
        timeout: seconds that `acquire` waits for a free connection.
    """

    def __init__(
        self,
        semaphore: Semaphore,
        connect: Callable[[float | None], Awaitable[C]],
        check: Callable[[C], Awaitable[bool]],
        is_usable: Callable[[C], bool],
        discard: Callable[[C], None],
        *,
        min_size: int,
        max_size: int,
        timeout: float,
    ) -> None:
        self._slots = semaphore
        self._connect = connect
        self._check = check
        self._is_usable = is_usable
        self._discard = discard
        self._min_size = min_size
        self._max_size = max_size
        self._timeout = timeout
        self._idle: deque[Member[C]] = deque()
        self._checked_out: dict[C, Member[C]] = {}
        self._distrusted = float("-inf")
        self._opened = 0
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
            self.release_slot()
            self._check_open()
        member = self._pop_idle()
        if member is not None and now() - member.answered > CHECK_AFTER_SECONDS and not await self._answers(member):
            # What is idle still has been so for longer, and is distrusted by now.
            member = self._pop_idle()
        return self._check_out(member or await self._open(None))

    async def acquire_beside(self, silent: C) -> C | None:
        """A connection that can tell about another one, which got no answer for `SILENCE_SECONDS`.

        It has answered since, or is new. None if there is no slot for it: the bound holds for it too.
        """
        if self._closed or silent not in self._checked_out or not await self._slots.acquire(0.0):
            return None
        member = self._pop_idle()
        if member is not None and now() - member.answered > SILENCE_SECONDS:
            self._discard(member.connection)
            member = None
        return self._check_out(member or await self._open(CHECK_TIMEOUT_SECONDS))

    def age(self, connection: C) -> float:
        """Seconds since a connection in use was opened."""
        return now() - self._checked_out[connection].opened

    async def _open(self, within: float | None) -> Member[C]:
        try:
            return self._member(await self._connect(within))
        except ConnectionFailedError as error:
            error.nothing_done = True
            raise

    def _member(self, connection: C) -> Member[C]:
        # Connections that were opened together do not end together.
        self._opened += 1
        return Member(connection, MAX_LIFETIME_SECONDS * (1 - self._opened % 8 / 40))

    def _check_out(self, member: Member[C]) -> C:
        member.checked_out = now()
        self._checked_out[member.connection] = member
        if self._closed:
            self.release(member.connection, reusable=False)
            self._check_open()
        return member.connection

    async def _answers(self, member: Member[C]) -> bool:
        """Whether the server answers on a connection. If not, it is dropped, and those idle for longer are so too."""
        self._check_out(member)
        if await self._check(member.connection):
            return True
        del self._checked_out[member.connection]
        self._distrusted = max(self._distrusted, member.checked_out)
        self._discard(member.connection)
        return False

    def distrust(self, connection: C) -> None:
        """This connection is dead: take those for dead that have been idle since before it was handed out."""
        member = self._checked_out.get(connection)
        if member is not None:
            self._distrusted = max(self._distrusted, member.checked_out)

    def retire(self, connection: C) -> None:
        """Hand out neither this connection again nor those that are idle since before it was handed out."""
        self.distrust(connection)
        member = self._checked_out.get(connection)
        if member is not None:
            member.retires = member.checked_out

    def _check_open(self) -> None:
        if self._closed:
            raise unavailable("the client was closed while this call ran")

    def _pop_idle(self) -> Member[C] | None:
        while self._idle:
            try:
                member = self._idle.pop()
            except IndexError:
                return None
            if self._is_trusted(member) and self._is_usable(member.connection):
                return member
            self._discard(member.connection)
        return None

    def _is_trusted(self, member: Member[C]) -> bool:
        return member.answered > self._distrusted and now() < member.retires

    def release(self, connection: C, *, reusable: bool = True) -> None:
        """Take a connection back, for the next caller if it is clean: then the server has answered just now."""
        member = self._checked_out.get(connection) or self._member(connection)
        member.answered = now()
        # Whether it is still open is asked when it is handed out.
        if reusable and not self._closed and self._is_trusted(member):
            self._idle.append(member)
            self._shed_unused()
        else:
            self._discard(connection)
        self.evict(connection)

    def evict(self, connection: C) -> None:
        """Give the slot of a connection in use away; what becomes of it is the caller's business."""
        self._checked_out.pop(connection, None)
        self.release_slot()

    def release_slot(self) -> None:
        """Give the slot of a connection away that was not opened after all."""
        self._slots.release()

    def _shed_unused(self) -> None:
        deadline = now() - IDLE_LIFETIME_SECONDS
        while len(self._idle) > max(1, self._min_size):
            oldest = self._idle.popleft()
            if oldest.answered >= deadline:
                self._idle.appendleft(oldest)
                return
            self._discard(oldest.connection)

    def usage(self) -> tuple[int, int]:
        """How many connections are in use, and how many idle."""
        return len(self._checked_out), len(self._idle)

    async def fill(self) -> None:
        """Open connections until `min_size` are there, busy ones included."""
        opened: list[C] = []
        try:
            while len(self._idle) + len(self._checked_out) < self._min_size:
                opened.append(await self.acquire())
        finally:
            for connection in opened:
                self.release(connection)

    async def close(self, grace: float) -> None:
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
        """What is left in a closed pool: the idle connections, which it gives up, and those still in use."""
        idle: list[C] = []
        while self._idle:
            idle.append(self._idle.pop().connection)
        return idle, list(self._checked_out)
