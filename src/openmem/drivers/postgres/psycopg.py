"""PostgreSQL for `Memory`: blocking psycopg connections.

The methods are ``async def`` but block and never suspend; see `openmem.ports`. They are not for an
event loop. A wait that is given up, by its time limit or by Ctrl-C, asks the server to stop the
query and drops the connection.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg import RawCursor, waiting
from psycopg.abc import PQGen
from psycopg.adapt import Dumper
from psycopg.errors import Diagnostic
from psycopg.pq import Conninfo, Format, TransactionStatus

from ..._forking import PerProcess
from ...errors import OMPError, ProviderError
from ...ports import run_blocking
from ...ports.errors import ReadOnlyDatabaseError
from ...ports.postgres import ConnectionParameters, Copy, HalfVector, Learned, PostgresSettings, Statement, Transaction
from .liveness import TCP_DEFAULTS, LostError, has_input, is_brief, is_silent, no_answer, waits_for_its_client
from .pool import CHECK_TIMEOUT, LOOK_TIMEOUT, SILENCE, SILENCE_GRACE, Pool
from .sqlstate import connection_refused, is_missing, server_error

R = TypeVar("R")

CLOSE_GRACE = 2.0
CANCEL_TIMEOUT = 0.5
SIGNAL_INTERVAL = 0.1

# What says nothing, where libpq does not take an empty value for that.
_NEUTRAL = {"max_protocol_version": "3.0", "min_protocol_version": "3.0", "sslcertmode": "allow"}

_environment = PerProcess(threading.Lock)

# The only environment variable that libpq obeys whatever it is given: it looks the service up, and fails if nobody
# defines it.
_SERVICE = "PGSERVICE"

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
    """A connection that gives up waiting for the server after `timeout` seconds, or once the network has forgotten it.

    An interrupted wait leaves the query running and the connection unusable; `PsycopgIO` cancels
    the one and drops the other. psycopg's own way, to wait for the cancelled query's end, takes up
    to ten seconds where the network is dead.

    Attributes:
        is_forgotten: whether the network has lost it; set once the connection is in a pool.
        is_brief: whether the server has received the statement by the time that an answer is missed.
        ended: whether the server said goodbye between two statements, which libpq takes for a notice.
    """

    timeout: float = 60.0
    is_forgotten: Callable[[], bool] | None = None
    is_brief: bool = True
    ended: bool = False

    def heed(self, notice: Diagnostic) -> None:
        """Take note of a notice."""
        if notice.severity_nonlocalized == "FATAL":
            self.ended = True

    def wait(self, gen: PQGen[R], *args: Any, **kwargs: Any) -> R:
        bounded = _until(time.monotonic(), self.timeout, gen, self.is_forgotten if self.is_brief else None)
        return waiting.wait(bounded, self.pgconn.socket, interval=SIGNAL_INTERVAL)


def _until(begun: float, timeout: float, gen: PQGen[R], is_forgotten: Callable[[], bool] | None) -> PQGen[R]:
    """`gen`, but raising `TimeoutError` where it would wait for longer, or for an answer that was lost.

    Args:
        is_forgotten: asked where there is no answer, after `SILENCE` seconds and then each time that has doubled.
    """
    deadline, look, is_lost = begun + timeout, begun + SILENCE, False
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready:
                now = time.monotonic()
                if now > deadline:
                    raise LostError if is_lost else TimeoutError
                if is_forgotten is not None and now > look and not is_lost:
                    look = begun + 2 * (now - begun)
                    if is_forgotten():
                        # Unless the answer is on its way.
                        is_lost = True
                        deadline = min(deadline, time.monotonic() + SILENCE_GRACE)
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
            self._check,
            lambda connection: not (connection.closed or connection.ended or has_input(connection.fileno())),
            lambda connection: connection.close(),
            min_size=settings.pool_min_size,
            max_size=settings.pool_max_size,
            timeout=settings.pool_timeout,
        )

    async def execute(self, statement: Statement[R]) -> R:
        def fetch(connection: BoundedConnection) -> list[tuple[Any, ...]]:
            if not self._settings.session.is_per_transaction:
                return _fetch(connection, statement)
            return self._in_transaction(connection, lambda: _fetch(connection, statement))

        return statement.decode(await self._lend(fetch))

    async def run_script(self, sql: str) -> None:
        def run(connection: BoundedConnection) -> None:
            session = self._settings.session
            script = f"{session.begin}; {sql}; COMMIT" if session.is_per_transaction else sql
            with _translated_errors(self._settings.timeout):
                connection.execute(script.encode(), prepare=False)

        await self._lend(run)

    async def transact(self, work: Callable[[Transaction], Awaitable[R]]) -> R:
        def run(connection: BoundedConnection) -> R:
            async def working() -> R:
                return await work(PsycopgTransaction(connection))

            return self._in_transaction(connection, lambda: run_blocking(working()))

        return await self._lend(run)

    def _in_transaction(self, connection: BoundedConnection, work: Callable[[], R]) -> R:
        with _translated_errors(self._settings.timeout):
            connection.execute(self._settings.session.begin.encode(), prepare=False)
        try:
            result = work()
        except BaseException:
            _roll_back(connection)
            raise
        with _translated_errors(self._settings.timeout):
            connection.execute("COMMIT", prepare=False)
        return result

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
        return self._use(await self._pool.acquire(), use)

    def _use(self, connection: BoundedConnection, use: Callable[[BoundedConnection], R]) -> R:
        reusable = False
        try:
            result = use(connection)
            reusable = True
            return result
        except BaseException as error:
            reusable = _is_idle(connection)
            cause = error.__cause__
            if isinstance(error, ReadOnlyDatabaseError):
                self._pool.retire(connection)
            if connection.broken or isinstance(cause, TimeoutError):
                self._pool.distrust(connection)
            if isinstance(cause, psycopg.Error) and (connection.broken or is_missing(cause.sqlstate)):
                self.learned.forget()
            elif not reusable and not isinstance(cause, psycopg.Error | LostError):
                _cancel(connection, CANCEL_TIMEOUT)
            raise
        finally:
            self._pool.release(connection, reusable=reusable)

    async def _check(self, connection: BoundedConnection) -> bool:
        try:
            connection.timeout = CHECK_TIMEOUT
            connection.execute("SELECT 1", prepare=False)
            connection.timeout = self._settings.timeout
        except (psycopg.Error, TimeoutError):
            return False
        except BaseException:
            self._pool.release(connection, reusable=False)
            raise
        return True

    async def _is_forgotten(self, silent: BoundedConnection) -> bool:
        """Whether the server knows nothing of the statement that a connection waits for."""
        if not is_silent(silent.fileno(), SILENCE):
            return False
        statement = waits_for_its_client(silent.info.backend_pid, self._pool.age(silent))

        def ask(connection: BoundedConnection) -> bool:
            connection.timeout = LOOK_TIMEOUT
            answer = statement.decode(_fetch(connection, statement))
            connection.timeout = self._settings.timeout
            return answer

        try:
            other = await self._pool.acquire_beside(silent)
            return other is not None and self._use(other, ask)
        except OMPError:
            logger.debug("it cannot be told whether the server works on a statement")
            return False

    async def _connect(self, within: float | None) -> BoundedConnection:
        connection: BoundedConnection | None = None
        settings = self._settings
        try:
            with _translated_errors(settings.timeout):
                connection = _connect(settings, within or settings.connect_timeout)
                connection.adapters.register_dumper(HalfVector, HalfVectorDumper)
                connection.timeout = settings.timeout
                connection.add_notice_handler(connection.heed)
                connection.execute(settings.session.on_connect.encode(), prepare=False)
        except BaseException:
            if connection is not None:
                connection.close()
            self._pool.vacate()
            raise
        connection.is_forgotten = lambda: run_blocking(self._is_forgotten(connection))
        return connection


def _connect(settings: PostgresSettings, timeout: float) -> BoundedConnection:
    parameters = _libpq_parameters(settings.parameters)
    parameters["connect_timeout"] = str(max(2, round(timeout)))

    def connect() -> BoundedConnection:
        return BoundedConnection.connect(
            "",
            autocommit=True,
            prepare_threshold=None if settings.pooled else 0,
            cursor_factory=RawCursor,
            **parameters,
        )

    try:
        return connect()
    except psycopg.OperationalError as error:
        if not settings.parameters.ignores_environment or "service" not in str(error) or _SERVICE not in os.environ:
            raise
    return _without_service(connect)


def _without_service(connect: Callable[[], R]) -> R:
    """What `connect` gives while libpq does not see a service that no file defines, and with which it cannot connect.

    No other connection of this process can rely on such a service.
    """
    with _environment.get():
        os.unsetenv(_SERVICE)
        try:
            return connect()
        finally:
            os.putenv(_SERVICE, os.environ[_SERVICE])


def _libpq_parameters(parameters: ConnectionParameters) -> dict[str, Any]:
    """All parameters by name, so that libpq need not look anywhere else."""
    given: dict[str, Any] = {**TCP_DEFAULTS, **dict(parameters.values)}
    hosts = parameters.hosts
    given["host"] = ",".join(host.name for host in hosts)
    given["port"] = ",".join(str(host.port) for host in hosts)
    if any(host.address for host in hosts):
        given["hostaddr"] = ",".join(host.address for host in hosts)
    if parameters.ignores_environment:
        for option in Conninfo.get_defaults():
            name = option.keyword.decode()
            if option.envvar and name != "service":
                given.setdefault(name, _NEUTRAL.get(name, ""))
    return given


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
            with _translated_errors(timeout), connection.cursor().copy(sql.encode()) as wire:
                wire.write(rows.data)
                try:
                    return await meanwhile()
                except BaseException as error:
                    failure = error
                    # Leaving the block tells the server, which may be dead.
                    connection.timeout = CANCEL_TIMEOUT
                    raise
        except BaseException:
            if failure is None:
                raise
            raise failure from failure.__cause__
        finally:
            connection.timeout = timeout


def _fetch(connection: BoundedConnection, statement: Statement[Any]) -> list[tuple[Any, ...]]:
    connection.is_brief = is_brief(statement)
    with _translated_errors(connection.timeout):
        cursor = connection.cursor(binary=True)
        return cursor.execute(statement.sql, statement.args, prepare=True).fetchall()


@contextmanager
def _translated_errors(timeout: float) -> Iterator[None]:
    """Translate what the driver raises. No code of a caller may run inside, whose errors are its own."""
    try:
        yield
    except TimeoutError as error:
        raise no_answer(error, timeout) from error
    except psycopg.Error as error:
        raise _translated(error) from error


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
        return connection_refused(str(error))
    if isinstance(error, psycopg.DataError):
        # Its message may quote the value.
        return ProviderError("PostgreSQL: a value cannot be sent; see the __cause__ of this error")
    return ProviderError(f"PostgreSQL: {error}")
