"""How statements are run: reads on a replica or with an audit entry, writes again after what passes by itself. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from ..._retrying import Backoff
from ...errors import ProviderError
from ...ports.errors import DeadlockError, ReadOnlyDatabaseError
from ...ports.postgres import PostgresIO, Statement
from . import inspection
from .statements import Statements

R = TypeVar("R")

REPLICA_PAUSE_SECONDS: Final = 10.0
"""How long a replica that did not answer is left alone."""

READ_ONLY_SECONDS: Final = 30.0
"""After how long a database that refused to write is asked again."""


@dataclass(frozen=True, slots=True)
class Connections:
    """The pools of a client.

    Attributes:
        primary: to the server that takes writes.
        replica: to the server that takes reads; None if that is the same.
    """

    primary: PostgresIO
    replica: PostgresIO | None = None

    async def close(self) -> None:
        """Close them all."""
        try:
            await self.primary.close()
        finally:
            if self.replica is not None:
                await self.replica.close()


@dataclass(frozen=True, slots=True)
class Database:
    """A server that is connected to, and what is asked of the tables in one of its schemas.

    Attributes:
        io: connections to the server that takes writes.
        sql: the statements as the client's ``audit`` has them.
        unaudited_sql: the same, but reads leave no audit entry.
        audits_reads: whether reads leave an audit entry while the database takes changes.
        clock: returns seconds; only differences mean something.
        sleep: waits so many seconds.
        replica: where reads go, if not to the server itself.
    """

    io: PostgresIO
    sql: Statements
    unaudited_sql: Statements
    audits_reads: bool
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    replica: Replica | None = None

    async def run(self, statement: Statement[R]) -> R:
        """Run a statement that changes nothing on the server itself."""
        return await self.io.execute(statement)

    async def read(self, statement_of: Callable[[Statements], Statement[R]]) -> R:
        """Run a read: with its audit entry, or on the replica if there is one that answers."""
        if self.audits_reads:
            return await self._read_audited(statement_of)
        statement = statement_of(self.unaudited_sql)
        if self.replica is not None and self.replica.breaker.allows():
            try:
                result = await self.replica.io.execute(statement)
            except ProviderError as error:
                if error.code != "provider_unavailable":
                    raise
                self.replica.breaker.open()
            else:
                self.replica.breaker.close()
                return result
        return await self.io.execute(statement)

    async def write(self, statement: Statement[R]) -> R:
        """Run a statement that changes something."""
        return await self.change(lambda io: io.execute(statement))

    async def change(self, work: Callable[[PostgresIO], Awaitable[R]]) -> R:
        """What `work` returns, which changes something.

        It is tried again after a deadlock. A session may be read-only when new ones are not; then it is tried on a new
        one.

        Raises:
            ReadOnlyDatabaseError: the database takes no changes, and why.
        """
        cache = self.io.cache
        try:
            result = await self._retry_deadlocks(work)
        except ReadOnlyDatabaseError as error:
            reason = (await self.io.execute(inspection.read_only())).reason
            if reason is not None:
                note_read_only(self.io, self.clock)
                raise ReadOnlyDatabaseError(f"the database is read-only: {reason}") from error.__cause__
            result = await self._retry_deadlocks(work)
        cache.is_read_only = False
        return result

    async def _read_audited(self, statement_of: Callable[[Statements], Statement[R]]) -> R:
        """Run a read with its audit entry, or without one while the database takes no changes."""
        cache = self.io.cache
        if not cache.is_read_only or self.clock() >= cache.asks_again:
            try:
                return await self.write(statement_of(self.sql))
            except ReadOnlyDatabaseError:
                pass
        return await self.io.execute(statement_of(self.unaudited_sql))

    async def _retry_deadlocks(self, work: Callable[[PostgresIO], Awaitable[R]]) -> R:
        """What `work` returns. Writes that supersede each other's memories can meet in a deadlock.

        Each further try waits for a moment. Without it the write can take its locks again before the other one,
        which has just been woken, has got what it waits for.
        """
        backoff = Backoff()
        while True:
            try:
                return await work(self.io)
            except DeadlockError:
                delay = backoff.next_delay()
                if delay is None:
                    raise
            await self.sleep(delay)


class CircuitBreaker:
    """Keeps calls from a server that did not answer.

    Args:
        clock: returns seconds; only differences mean something.
        pause: seconds after which one call may try whether the server answers again.
    """

    def __init__(self, clock: Callable[[], float], pause: float) -> None:
        self._clock = clock
        self._pause = pause
        self._open_until: float | None = None

    def open(self) -> None:
        """The server did not answer."""
        self._open_until = self._clock() + self._pause

    def close(self) -> None:
        """The server answered."""
        self._open_until = None

    def allows(self) -> bool:
        """Whether a call may go to the server. After a pause that is one call, and no other before it has ended."""
        if self._open_until is None:
            return True
        if self._clock() < self._open_until:
            return False
        self.open()
        return True


class Replica:
    """A server that takes reads.

    Args:
        io: connections to it.
        clock: returns seconds; only differences mean something.

    Attributes:
        breaker: keeps reads from it while it does not answer.
    """

    def __init__(self, io: PostgresIO, clock: Callable[[], float]) -> None:
        self.io = io
        self.breaker = CircuitBreaker(clock, REPLICA_PAUSE_SECONDS)


def note_read_only(io: PostgresIO, clock: Callable[[], float]) -> None:
    """Leave audit entries out from now on, until the database is asked again whether it takes changes."""
    io.cache.is_read_only = True
    io.cache.asks_again = clock() + READ_ONLY_SECONDS
