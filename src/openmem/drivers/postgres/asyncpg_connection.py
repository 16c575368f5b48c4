"""One connection of asyncpg: how long it waits, what its errors mean, and how it is closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import asyncpg

from ...errors import OMPError, ProviderError
from ...ports.postgres import Row, Statement
from .liveness import LostError, is_brief, no_answer
from .pool import SILENCE_GRACE_SECONDS, SILENCE_SECONDS
from .sqlstate import connection_refused, is_missing, server_error, unreachable

CLOSE_TIMEOUT_SECONDS = 1.0

DRIVER_ERRORS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

logger = logging.getLogger("openmem.postgres")


class Connection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """A connection that knows its socket.

    Attributes:
        descriptor: of the socket.
        look: begins to find out whether the network has forgotten it; set once the connection is in a pool.
        knows_halfvec: whether it can send a `HalfVector`.
    """

    __slots__ = ("descriptor", "knows_halfvec", "look")

    def __init__(self, protocol: Any, transport: asyncio.Transport, *args: Any, **kwargs: Any) -> None:
        super().__init__(protocol, transport, *args, **kwargs)
        # asyncpg has no public way from a connection to its socket.
        self.descriptor: int = transport.get_extra_info("socket").fileno()
        self.look: Callable[[], asyncio.Task[bool]] | None = None
        self.knows_halfvec = False


class BoundedWait:
    """Waits for an answer within a time limit, or until the network has forgotten the connection. Translates errors.

    Of a connection in a pool the limit is set only once it is silent, since asyncio's timers cost more than most waits.

    Args:
        timeout: seconds.
        statement: what the server is sent; None if it is brief.
    """

    __slots__ = (
        "_connection",
        "_deadline",
        "_is_lost",
        "_limit",
        "_look",
        "_statement",
        "_timeout",
        "_timer",
        "_waited",
    )

    def __init__(self, connection: Connection, timeout: float, statement: Statement[Any] | None = None) -> None:
        self._connection = connection
        self._timeout = timeout
        self._statement = statement
        self._limit = asyncio.timeout(None)
        self._deadline = 0.0
        self._is_lost = False
        self._waited = SILENCE_SECONDS
        self._look: asyncio.Task[bool] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._deadline = now + self._timeout
        if self._connection.look is not None and self._timeout > SILENCE_SECONDS:
            self._timer = loop.call_at(now + SILENCE_SECONDS, self._begin_look)
        else:
            self._limit.reschedule(self._deadline)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        look, self._look = self._look, None
        if look is not None:
            look.cancel()
        try:
            await self._limit.__aexit__(kind, error, trace)
        except TimeoutError as late:
            raise no_answer(LostError() if self._is_lost else late, self._timeout) from late
        if isinstance(error, DRIVER_ERRORS):
            with translate_errors(self._timeout):
                raise error

    def _begin_look(self) -> None:
        # The time may be over while the task that waits has not heard of it yet.
        if self._limit.expired():
            return
        self._limit.reschedule(self._deadline)
        if self._statement is not None and not is_brief(self._statement):
            return
        assert self._connection.look is not None
        self._look = self._connection.look()
        self._look.add_done_callback(self._end_look)

    def _end_look(self, look: asyncio.Task[bool]) -> None:
        if look is not self._look or look.cancelled() or self._limit.expired():
            return
        loop = asyncio.get_running_loop()
        if look.result():
            # Unless the answer is on its way.
            grace = loop.time() + SILENCE_GRACE_SECONDS
            self._is_lost = grace < self._deadline
            self._limit.reschedule(min(grace, self._deadline))
        else:
            self._timer = loop.call_later(self._waited, self._begin_look)
            self._waited *= 2


async def fetch(connection: Connection, statement: Statement[Any], timeout: float) -> Sequence[Row]:
    async with BoundedWait(connection, timeout, statement):
        rows: Sequence[Row] = await connection.fetch(statement.sql, *statement.args)
        return rows


async def register_halfvec(connection: Connection, timeout: float) -> None:
    """Let a connection send a `HalfVector` as it is, for which it must know the type's number in this database."""
    async with BoundedWait(connection, timeout):
        async with asyncio.timeout(timeout):
            schema = await connection.fetchval(
                "SELECT n.nspname FROM pg_catalog.pg_extension e "
                "JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'"
            )
            if schema is not None:
                await connection.set_type_codec("halfvec", schema=schema, encoder=bytes, decoder=bytes, format="binary")


async def execute(connection: Connection, sql: str, timeout: float) -> None:
    async with BoundedWait(connection, timeout):
        await connection.execute(sql)


@contextmanager
def translate_errors(timeout: float, missed: str = "no answer") -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise unreachable(f"{missed} within {timeout:g} s") from error
    except DRIVER_ERRORS as error:
        raise _translated(error) from error


async def close(*connections: Connection) -> None:
    """Stop what the connections are doing and close them, the hard way after `CLOSE_TIMEOUT_SECONDS`."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
            await asyncio.gather(*(connection.close() for connection in connections), return_exceptions=True)
    except TimeoutError:
        logger.debug("the server did not answer to the end of a connection")
    finally:
        for connection in connections:
            connection.terminate()


def _translated(error: BaseException) -> OMPError:
    if isinstance(error, asyncpg.DataError) and error.severity is None:
        # The driver's own, whose message quotes the value.
        return ProviderError("PostgreSQL: a value cannot be sent; see the __cause__ of this error")
    if isinstance(error, asyncpg.PostgresError):
        farewell = error.__cause__ if isinstance(error, asyncpg.ConnectionDoesNotExistError) else None
        said = farewell if isinstance(farewell, asyncpg.PostgresError) else error
        return server_error(said.sqlstate, str(said))
    # A statement on a connection that the server has closed. asyncpg has no class for it, only this text.
    if isinstance(error, asyncpg.InternalClientError) and str(error).startswith("cannot switch to state"):
        ended = unreachable("the server ended the connection")
        ended.nothing_done = True
        return ended
    if isinstance(error, ValueError) and not isinstance(error, OSError):
        return ProviderError(f"PostgreSQL: {error}")
    return connection_refused(str(error))


def may_be_another_database(cause: BaseException | None) -> bool:
    """Whether what was known of the database may be wrong after this error."""
    if isinstance(cause, asyncpg.PostgresError):
        return is_fatal(cause) or is_missing(cause.sqlstate)
    return isinstance(cause, DRIVER_ERRORS) and not isinstance(cause, TimeoutError)


def is_fatal(error: asyncpg.PostgresError) -> bool:
    """Whether the server ends the connection after this error."""
    # The documented `severity` is in the server's language.
    return getattr(error, "severity_en", None) in ("FATAL", "PANIC")
