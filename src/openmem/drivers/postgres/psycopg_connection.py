"""One blocking connection of psycopg: how it is made, how long it waits, and how it is given up."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import psycopg
from psycopg import RawCursor, waiting
from psycopg.abc import AdaptContext, Buffer, PQGen
from psycopg.adapt import Dumper, Loader
from psycopg.errors import Diagnostic
from psycopg.pq import Conninfo, Format, TransactionStatus

from ..._forking import PerProcess
from ...errors import OMPError, ProviderError
from ...ports.postgres import ConnectionParameters, PostgresSettings, Statement
from .liveness import TCP_DEFAULTS, LostError, is_brief, no_answer
from .pool import SILENCE_GRACE_SECONDS, SILENCE_SECONDS
from .sqlstate import connection_refused, server_error

R = TypeVar("R")

CANCEL_TIMEOUT_SECONDS = 0.5
SIGNAL_INTERVAL_SECONDS = 0.1
"""How often a wait lets Python handle signals, such as Ctrl-C."""

# What says nothing, where libpq does not take an empty value for that.
_NEUTRAL = {"max_protocol_version": "3.0", "min_protocol_version": "3.0", "sslcertmode": "allow"}

_INFINITE = {
    b"\x7f" + b"\xff" * 7: datetime.max.replace(tzinfo=UTC),
    b"\x80" + b"\x00" * 7: datetime.min.replace(tzinfo=UTC),
}
"""``infinity`` and ``-infinity`` as a binary ``timestamptz``."""

_environment = PerProcess(threading.Lock)

# The only environment variable that libpq obeys whatever it is given: it looks the service up, and fails if nobody
# defines it.
_SERVICE = "PGSERVICE"

logger = logging.getLogger("openmem.postgres")


class BoundedConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that gives up waiting for the server after `timeout` seconds, or once the network has forgotten it.

    An interrupted wait leaves the query running and the connection unusable; `PsycopgIO` cancels
    the one and drops the other. psycopg's own way, to wait for the cancelled query's end, takes up
    to ten seconds where the network is dead.

    Attributes:
        is_forgotten: whether the network has lost it; set once the connection is in a pool.
        statement: what the server has been sent; None if it is brief.
        ended: whether the server said goodbye between two statements, which libpq takes for a notice.
    """

    timeout: float = 60.0
    is_forgotten: Callable[[], bool] | None = None
    statement: Statement[Any] | None = None
    ended: bool = False

    def heed(self, notice: Diagnostic) -> None:
        """Take note of a notice."""
        if notice.severity_nonlocalized == "FATAL":
            self.ended = True

    # All that psycopg sends passes through here. Its own time limit, from version 3.3 on, does not let the wait be
    # looked after in between, and psycopg waits for the end of an interrupted query.
    def wait(self, gen: PQGen[R], *args: Any, **kwargs: Any) -> R:
        bounded = _until(time.monotonic(), self.timeout, gen, self.statement, self.is_forgotten)
        return waiting.wait(bounded, self.pgconn.socket, interval=SIGNAL_INTERVAL_SECONDS)


def _until(
    begun: float,
    timeout: float,
    gen: PQGen[R],
    statement: Statement[Any] | None,
    is_forgotten: Callable[[], bool] | None,
) -> PQGen[R]:
    """`gen`, but raising `TimeoutError` where it would wait for longer, or for an answer that was lost.

    Args:
        statement: what the server has been sent; it is not asked about one that may still be on its way.
        is_forgotten: asked where there is no answer, after `SILENCE_SECONDS` and then each time that has doubled.
    """
    deadline, look, is_lost = begun + timeout, begun + SILENCE_SECONDS, False
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
                    if (statement is None or is_brief(statement)) and is_forgotten():
                        # Unless the answer is on its way.
                        is_lost = True
                        deadline = min(deadline, time.monotonic() + SILENCE_GRACE_SECONDS)
            wanted = gen.send(ready)
    except StopIteration as finished:
        result: R = finished.value
        return result


class TimestampLoader(Loader):
    """Reads ``infinity`` as the last moment that Python knows, and ``-infinity`` as the first.

    asyncpg reads them so, and writes these moments so. psycopg refuses them.
    """

    format = Format.BINARY

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        loader = psycopg.adapters.get_loader(oid, Format.BINARY)
        assert loader is not None, "psycopg has one for each type of its own"
        self._finite = loader(oid, context)

    def load(self, data: Buffer) -> Any:
        moment = _INFINITE.get(bytes(data))
        return self._finite.load(data) if moment is None else moment


class HalfVectorDumper(Dumper):
    """Sends a `HalfVector` as it is. The server knows from the statement what it is."""

    format = Format.BINARY

    def dump(self, obj: bytes) -> bytes:
        return obj


def connect(settings: PostgresSettings, timeout: float) -> BoundedConnection:
    parameters = _libpq_parameters(settings.parameters)
    parameters["connect_timeout"] = str(max(2, round(timeout)))

    def open_connection() -> BoundedConnection:
        return BoundedConnection.connect(
            "",
            autocommit=True,
            prepare_threshold=None if settings.pooled else 0,
            cursor_factory=RawCursor,
            **parameters,
        )

    try:
        return open_connection()
    except psycopg.OperationalError as error:
        if not settings.parameters.ignores_environment or "service" not in str(error) or _SERVICE not in os.environ:
            raise
    return _without_service(open_connection)


def _without_service(open_connection: Callable[[], R]) -> R:
    """What `open_connection` gives while libpq does not see a service that no file defines, as it would then fail.

    No other connection of this process can rely on such a service.
    """
    with _environment.get():
        os.unsetenv(_SERVICE)
        try:
            return open_connection()
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


def fetch(connection: BoundedConnection, statement: Statement[Any]) -> list[tuple[Any, ...]]:
    connection.statement = statement
    try:
        with translate_errors(connection.timeout):
            cursor = connection.cursor(binary=True)
            return cursor.execute(statement.sql, statement.args, prepare=True).fetchall()
    finally:
        connection.statement = None


@contextmanager
def translate_errors(timeout: float) -> Iterator[None]:
    """Translate what the driver raises. No code of a caller may run inside, whose errors are its own."""
    try:
        yield
    except TimeoutError as error:
        raise no_answer(error, timeout) from error
    except psycopg.Error as error:
        raise _translated(error) from error


def is_idle(connection: BoundedConnection) -> bool:
    """Whether the connection waits for a statement, outside a transaction."""
    return connection.info.transaction_status == TransactionStatus.IDLE


def roll_back(connection: BoundedConnection) -> None:
    """End the transaction, unless a statement runs in it."""
    if connection.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
        try:
            connection.execute("ROLLBACK", prepare=False)
        except (psycopg.Error, TimeoutError):
            logger.debug("the server did not answer to the end of a transaction")


def cancel(connection: BoundedConnection, timeout: float) -> None:
    """Ask the server to stop what the connection is waiting for."""
    try:
        connection.cancel_safe(timeout=timeout)
    except psycopg.Error:
        logger.debug("the server did not take the request to stop a query")


def abort(connections: Iterable[BoundedConnection]) -> None:
    """Make the calls fail that other threads still wait for, and stop their queries.

    Only the socket is shut down: the connection itself must not be touched but by its own thread.
    """
    deadline = time.monotonic() + CANCEL_TIMEOUT_SECONDS
    for connection in connections:
        try:
            with socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as wire:
                if (remaining := deadline - time.monotonic()) > 0:
                    cancel(connection, remaining)
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
