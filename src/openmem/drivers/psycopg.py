"""PostgreSQL for `Memory`: blocking psycopg connections.

The methods are ``async def`` but block and never suspend; see `openmem.io`. They are not for an
event loop. A wait that is given up, by its time limit or by Ctrl-C, asks the server to stop the
query and drops the connection.
"""

from __future__ import annotations

import logging
import re
import select
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import psycopg
from psycopg import RawCursor, waiting
from psycopg.abc import PQGen
from psycopg.adapt import Dumper
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Format, TransactionStatus

from ..errors import OMPError, ProviderError
from ..io import Copy, HalfVector, Learned, PostgresSettings, Statement, Transaction, run_blocking
from ..providers.postgres.errors import bad_url, is_missing, server_error, unreachable
from .pool import ON_CONNECT, ON_CONNECT_POOLED, Pool

R = TypeVar("R")

CLOSE_GRACE = 2.0
CANCEL_TIMEOUT = 0.5
SIGNAL_INTERVAL = 0.1

# libpq keeps the SQLSTATE of a refused connection to itself; asyncpg tells it.
_REFUSALS = (
    (
        re.compile(r"authentication failed|no password supplied|no pg_hba\.conf entry|role \".*\" does not exist"),
        "28000",
    ),
    (re.compile(r"database \".*\" does not exist"), "3D000"),
)

logger = logging.getLogger("openmem.postgres")


class BlockingSlots:
    """A semaphore with a time limit, between threads."""

    def __init__(self, count: int) -> None:
        self._semaphore = threading.Semaphore(count)

    async def acquire(self, timeout: float) -> bool:
        return self._semaphore.acquire(timeout=timeout)

    def release(self) -> None:
        self._semaphore.release()


class BoundedConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that gives up waiting for the server after `timeout` seconds.

    An interrupted wait leaves the query running and the connection unusable; `PsycopgIO` cancels
    the one and drops the other. psycopg's own way, to wait for the cancelled query's end, takes up
    to ten seconds where the network is dead.
    """

    timeout: float = 60.0

    def wait(self, gen: PQGen[R], *args: Any, **kwargs: Any) -> R:
        bounded = _until(time.monotonic() + self.timeout, gen)
        return waiting.wait(bounded, self.pgconn.socket, interval=SIGNAL_INTERVAL)


def _until(deadline: float, gen: PQGen[R]) -> PQGen[R]:
    """`gen`, but raising `TimeoutError` where it would wait on after `deadline`."""
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > deadline:
                raise TimeoutError
            wanted = gen.send(ready)
    except StopIteration as finished:
        result: R = finished.value
        return result


class HalfVectorDumper(Dumper):
    """Sends a `HalfVector` as it is. The server knows from the statement what it is."""

    format = Format.BINARY

    def dump(self, obj: bytes) -> bytes:
        return obj


class PsycopgIO:
    """The `PostgresIO` port on psycopg."""

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings
        self.learned = Learned()
        self._pool: Pool[BoundedConnection] = Pool(
            BlockingSlots(settings.pool_max_size),
            self._connect,
            _is_quiet,
            lambda connection: connection.close(),
            min_size=settings.pool_min_size,
            max_size=settings.pool_max_size,
            timeout=settings.pool_timeout,
        )

    async def execute(self, statement: Statement[R]) -> R:
        return statement.decode(await self._lend(lambda connection: _fetch(connection, statement)))

    async def run_script(self, sql: str) -> None:
        await self._lend(lambda connection: connection.execute(sql, prepare=False))

    async def transact(self, work: Callable[[Transaction], Awaitable[R]]) -> R:
        def run(connection: BoundedConnection) -> R:
            async def working() -> R:
                return await work(PsycopgTransaction(connection))

            connection.execute("BEGIN", prepare=False)
            try:
                result = run_blocking(working())
            except BaseException:
                _roll_back(connection)
                raise
            connection.execute("COMMIT", prepare=False)
            return result

        return await self._lend(run)

    async def fill(self) -> None:
        await self._pool.fill()

    def usage(self) -> tuple[int, int]:
        return self._pool.usage()

    async def close(self) -> None:
        await self._pool.drain(CLOSE_GRACE)
        idle, busy = self._pool.connections()
        for connection in idle:
            connection.close()
        _break_off(busy)

    async def _lend(self, use: Callable[[BoundedConnection], R]) -> R:
        connection = await self._pool.acquire()
        reusable = False
        try:
            result = use(connection)
            reusable = True
            return result
        except psycopg.Error as error:
            reusable = _is_idle(connection)
            if connection.broken or is_missing(error.sqlstate):
                self.learned.forget()
            raise _translated(error) from error
        except BaseException as error:
            reusable = _is_idle(connection)
            if not reusable:
                _cancel(connection, CANCEL_TIMEOUT)
            if isinstance(error, TimeoutError):
                raise unreachable(f"no answer within {self._settings.timeout:g} s") from error
            raise
        finally:
            self._pool.release(connection, reusable=reusable)

    async def _connect(self) -> BoundedConnection:
        connection: BoundedConnection | None = None
        try:
            connection = BoundedConnection.connect(
                self._conninfo(),
                autocommit=True,
                prepare_threshold=None if self._settings.pooled else 0,
                cursor_factory=RawCursor,
            )
            connection.adapters.register_dumper(HalfVector, HalfVectorDumper)
            connection.timeout = self._settings.timeout
            connection.execute(ON_CONNECT_POOLED if self._settings.pooled else ON_CONNECT, prepare=False)
        except BaseException as error:
            if connection is not None:
                connection.close()
            self._pool.vacate()
            if isinstance(error, TimeoutError):
                raise unreachable(f"no answer within {self._settings.timeout:g} s") from error
            if isinstance(error, psycopg.Error):
                raise _translated(error) from error
            raise
        return connection

    def _conninfo(self) -> str:
        """The URL with a time-out for connecting, which libpq wants in whole seconds, if it has none."""
        try:
            parameters = conninfo_to_dict(self._settings.url)
            for port in filter(None, str(parameters.get("port") or "").split(",")):
                int(port)
            if not float(parameters.get("connect_timeout") or 0):
                parameters["connect_timeout"] = max(2, round(self._settings.connect_timeout))
            return make_conninfo("", **parameters)
        except (psycopg.ProgrammingError, ValueError):
            raise bad_url() from None


class PsycopgTransaction:
    """The `Transaction` port on psycopg."""

    def __init__(self, connection: BoundedConnection) -> None:
        self._connection = connection

    async def execute(self, statement: Statement[R]) -> R:
        return statement.decode(_fetch(self._connection, statement))

    async def copy(self, rows: Copy, meanwhile: Callable[[], Awaitable[R]]) -> R:
        """The rows go into the buffers of the network at first, and the server reads on during `meanwhile`."""
        connection, timeout = self._connection, self._connection.timeout
        sql = f"COPY {rows.schema}.{rows.table} ({', '.join(rows.columns)}) FROM STDIN (FORMAT binary)"
        failure: BaseException | None = None
        try:
            with connection.cursor().copy(sql.encode()) as wire:
                try:
                    wire.write(rows.data)
                    return await meanwhile()
                except BaseException as error:
                    failure = error
                    # Leaving the block tells the server, which may be dead.
                    connection.timeout = CANCEL_TIMEOUT
                    raise
        except (psycopg.Error, TimeoutError):
            if failure is None:
                raise
            raise failure from failure.__cause__
        finally:
            connection.timeout = timeout


def _fetch(connection: BoundedConnection, statement: Statement[Any]) -> list[tuple[Any, ...]]:
    cursor = connection.cursor(binary=True)
    return cursor.execute(statement.sql, statement.args, prepare=True).fetchall()


def _is_idle(connection: BoundedConnection) -> bool:
    """Whether the connection waits for a statement, outside a transaction."""
    return connection.info.transaction_status == TransactionStatus.IDLE


def _roll_back(connection: BoundedConnection) -> None:
    """End the transaction, unless a statement runs in it."""
    if connection.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
        try:
            connection.execute("ROLLBACK", prepare=False)
        except (psycopg.Error, TimeoutError):
            logger.debug("the server did not answer to the end of a transaction")


def _cancel(connection: BoundedConnection, timeout: float) -> None:
    """Ask the server to stop what the connection is waiting for."""
    try:
        connection.cancel_safe(timeout=timeout)
    except psycopg.Error:
        logger.debug("the server did not take the request to stop a query")


def _break_off(connections: Iterable[BoundedConnection]) -> None:
    """Make the calls fail that other threads still wait for, and stop their queries.

    Only the socket is shut down: the connection itself must not be touched but by its own thread.
    """
    deadline = time.monotonic() + CANCEL_TIMEOUT
    for connection in connections:
        try:
            with socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as wire:
                if (remaining := deadline - time.monotonic()) > 0:
                    _cancel(connection, remaining)
                wire.shutdown(socket.SHUT_RDWR)
        except (OSError, psycopg.Error):
            logger.debug("a connection was gone before it was broken off")


def _translated(error: psycopg.Error) -> OMPError:
    if error.sqlstate is not None:
        return server_error(error.sqlstate, str(error))
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        for pattern, sqlstate in _REFUSALS:
            if pattern.search(str(error)):
                return server_error(sqlstate, str(error))
        return unreachable(str(error))
    return ProviderError(f"PostgreSQL: {error}")


def _is_quiet(connection: BoundedConnection) -> bool:
    """Whether an idle connection is open and the server has said nothing, such as goodbye."""
    if connection.closed:
        return False
    descriptor = connection.fileno()
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return not poll.poll(0)
    return not select.select([descriptor], [], [], 0)[0]
