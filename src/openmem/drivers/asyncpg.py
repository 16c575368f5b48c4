"""PostgreSQL for `AsyncMemory`: asyncpg connections, and what happens when a call is cancelled.

The caller of a cancelled or failed query never waits for the clean-up. The connection goes to a
task of its own, which lets asyncpg's cancel request reach the server, checks that the connection
answers again, and gives it back to the pool. One that does not answer within `RECOVERY_TIMEOUT`
loses its place in the pool to a new one. It is not dropped on the spot: asyncpg's cancel request,
which on a slow network takes several round trips, gets `CLOSE_TIMEOUT` to stop the query.

Behind a pooler no statement is kept prepared. asyncpg then prepares one and runs it in two round trips
without a Sync between, hence in one transaction, on one connection of the server.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from weakref import WeakSet

import asyncpg

from ..errors import OMPError, ProviderError
from ..io import Copy, HalfVector, Learned, PostgresSettings, Row, Statement, Transaction
from ..providers.postgres.errors import bad_url, is_missing, server_error, unreachable
from .pool import ON_CONNECT, ON_CONNECT_POOLED, Pool
from .tasks import task_group
from .turns import Turns

R = TypeVar("R")

RECOVERY_TIMEOUT = 0.4
CLOSE_GRACE = 2.0
CLOSE_TIMEOUT = 1.0

_LIBPQ_ONLY = frozenset(
    {
        "channel_binding", "client_encoding", "fallback_application_name", "gssencmode", "keepalives",
        "keepalives_count", "keepalives_idle", "keepalives_interval", "load_balance_hosts",
        "replication", "requirepeer", "sslcompression", "sslsni", "tcp_user_timeout",
    }
)  # fmt: skip
_DRIVER_ERRORS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

logger = logging.getLogger("openmem.postgres")


class AsyncSlots:
    """A semaphore with a time limit, on the event loop."""

    def __init__(self, count: int) -> None:
        self._semaphore = asyncio.Semaphore(count)

    async def acquire(self, timeout: float) -> bool:
        if not self._semaphore.locked():
            return await self._semaphore.acquire()
        try:
            async with asyncio.timeout(timeout):
                return await self._semaphore.acquire()
        except TimeoutError:
            return False

    def release(self) -> None:
        self._semaphore.release()


class AsyncpgIO:
    """The `PostgresIO` port on asyncpg."""

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings
        self.learned = Learned()
        self._pool: Pool[asyncpg.Connection] = Pool(
            AsyncSlots(settings.pool_max_size),
            self._connect,
            lambda connection: not connection.is_closed(),
            lambda connection: connection.terminate(),
            min_size=settings.pool_min_size,
            max_size=settings.pool_max_size,
            timeout=settings.pool_timeout,
        )
        self._decoding = Turns()
        self._recoveries: set[asyncio.Task[Any]] = set()
        self._knowing_vectors: WeakSet[asyncpg.Connection] = WeakSet()

    async def execute(self, statement: Statement[R]) -> R:
        async def fetch(connection: asyncpg.Connection) -> Sequence[Row]:
            if connection not in self._knowing_vectors and any(isinstance(arg, HalfVector) for arg in statement.args):
                await _teach_vectors(connection, self._settings.timeout)
                self._knowing_vectors.add(connection)
            return await _fetch(connection, statement, self._settings.timeout)

        rows = await self._lend(fetch)
        await self._decoding.take()
        return statement.decode(rows)

    async def run_script(self, sql: str) -> None:
        await self._lend(lambda connection: _execute(connection, sql, self._settings.timeout))

    async def transact(self, work: Callable[[Transaction], Awaitable[R]]) -> R:
        async def run(connection: asyncpg.Connection) -> R:
            await _execute(connection, "BEGIN", self._settings.timeout)
            result = await work(AsyncpgTransaction(connection, self._settings.timeout))
            await _execute(connection, "COMMIT", self._settings.timeout)
            return result

        return await self._lend(run)

    async def fill(self) -> None:
        await self._pool.fill()

    def usage(self) -> tuple[int, int]:
        return self._pool.usage()

    async def close(self) -> None:
        try:
            await self._pool.drain(CLOSE_GRACE)
            idle, busy = self._pool.connections()
            await _close(*idle, *busy)
            if self._recoveries:
                await asyncio.wait(self._recoveries)
        finally:
            idle, busy = self._pool.connections()
            for connection in (*idle, *busy):
                connection.terminate()
            for recovery in self._recoveries:
                recovery.cancel()

    async def _lend(self, use: Callable[[asyncpg.Connection], Awaitable[R]]) -> R:
        connection = await self._pool.acquire()
        try:
            result = await use(connection)
        except BaseException as error:
            cause = error.__cause__
            if _may_be_another_database(cause):
                self.learned.forget()
            if isinstance(cause, asyncpg.PostgresError) and not connection.is_in_transaction():
                self._pool.release(connection, reusable=not _is_fatal(cause))
            else:
                self._recover(connection)
            raise
        self._pool.release(connection)
        return result

    async def _connect(self) -> asyncpg.Connection:
        """A new connection. When its caller is cancelled, it is finished for the next one.

        asyncpg leaves a complaint in the log where a handshake is cancelled, and most are about to end.
        """
        loop = asyncio.get_running_loop()
        handshake = loop.create_task(self._shake_hands())
        try:
            return await asyncio.shield(handshake)
        except asyncio.CancelledError:
            self._recoveries.add(handshake)
            handshake.add_done_callback(self._settle)
            loop.call_later(RECOVERY_TIMEOUT, handshake.cancel)
            raise
        except BaseException:
            self._pool.vacate()
            raise

    def _settle(self, handshake: asyncio.Task[asyncpg.Connection]) -> None:
        self._recoveries.discard(handshake)
        if handshake.cancelled() or handshake.exception() is not None:
            self._pool.vacate()
        else:
            self._pool.release(handshake.result())

    async def _shake_hands(self) -> asyncpg.Connection:
        timeout = self._settings.connect_timeout
        connection: asyncpg.Connection | None = None
        try:
            url, timeout = _for_asyncpg(self._settings.url, timeout)
            async with asyncio.timeout(timeout):
                if self._settings.pooled:
                    connection = await asyncpg.connect(url, statement_cache_size=0)
                    await connection.execute(ON_CONNECT_POOLED)
                else:
                    connection = await asyncpg.connect(url)
                    await connection.execute(ON_CONNECT)
        except BaseException as error:
            if connection is not None:
                connection.terminate()
            if isinstance(error, TimeoutError):
                raise unreachable(f"no connection within {timeout:g} s") from error
            if isinstance(error, ValueError):
                raise bad_url() from None
            if isinstance(error, _DRIVER_ERRORS):
                raise _translated(error) from error
            raise
        return connection

    def _recover(self, connection: asyncpg.Connection) -> None:
        if connection.is_closed():
            self._pool.release(connection, reusable=False)
            return
        task = asyncio.get_running_loop().create_task(self._make_clean(connection))
        self._recoveries.add(task)
        task.add_done_callback(self._recoveries.discard)

    async def _make_clean(self, connection: asyncpg.Connection) -> None:
        clean = False
        try:
            async with asyncio.timeout(RECOVERY_TIMEOUT):
                with suppress(asyncpg.InFailedSQLTransactionError):
                    await connection.execute("SELECT 1")
                if connection.is_in_transaction():
                    await connection.execute("ROLLBACK")
            clean = True
        except _DRIVER_ERRORS:
            logger.debug("a connection did not answer after a cancelled call and was replaced")
        finally:
            if clean:
                self._pool.release(connection)
            else:
                self._pool.forget(connection)
                await _close(connection)


class AsyncpgTransaction:
    """The `Transaction` port on asyncpg."""

    def __init__(self, connection: asyncpg.Connection, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout

    async def execute(self, statement: Statement[R]) -> R:
        return statement.decode(await _fetch(self._connection, statement, self._timeout))

    async def copy(self, rows: Copy, meanwhile: Callable[[], Awaitable[R]]) -> R:
        async with task_group() as group:
            group.create_task(self._send(rows))
            return await meanwhile()

    async def _send(self, rows: Copy) -> None:
        with _translated_errors(self._timeout):
            await self._connection.copy_to_table(
                rows.table,
                schema_name=rows.schema,
                columns=rows.columns,
                source=memoryview(rows.data),
                format="binary",
                timeout=self._timeout,
            )


async def _fetch(connection: asyncpg.Connection, statement: Statement[Any], timeout: float) -> Sequence[Row]:
    with _translated_errors(timeout):
        rows: Sequence[Row] = await connection.fetch(statement.sql, *statement.args, timeout=timeout)
        return rows


async def _teach_vectors(connection: asyncpg.Connection, timeout: float) -> None:
    """Let a connection send a `HalfVector` as it is, for which it must know the type's number in this database."""
    with _translated_errors(timeout):
        async with asyncio.timeout(timeout):
            schema = await connection.fetchval(
                "SELECT n.nspname FROM pg_catalog.pg_extension e "
                "JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'"
            )
            if schema is not None:
                await connection.set_type_codec("halfvec", schema=schema, encoder=bytes, decoder=bytes, format="binary")


async def _execute(connection: asyncpg.Connection, sql: str, timeout: float) -> None:
    with _translated_errors(timeout):
        await connection.execute(sql, timeout=timeout)


@contextmanager
def _translated_errors(timeout: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise unreachable(f"no answer within {timeout:g} s") from error
    except _DRIVER_ERRORS as error:
        raise _translated(error) from error


async def _close(*connections: asyncpg.Connection) -> None:
    """Stop what the connections are doing and close them, the hard way after `CLOSE_TIMEOUT`."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await asyncio.gather(*(connection.close() for connection in connections), return_exceptions=True)
    except TimeoutError:
        logger.debug("the server did not answer to the end of a connection")
    finally:
        for connection in connections:
            connection.terminate()


def _translated(error: BaseException) -> OMPError:
    if isinstance(error, asyncpg.PostgresError):
        return server_error(error.sqlstate, str(error))
    if isinstance(error, ValueError):
        return ProviderError(f"PostgreSQL: {error}")
    return unreachable(str(error))


def _may_be_another_database(cause: BaseException | None) -> bool:
    """Whether what was known of the database may be wrong after this error."""
    if isinstance(cause, asyncpg.PostgresError):
        return _is_fatal(cause) or is_missing(cause.sqlstate)
    return isinstance(cause, _DRIVER_ERRORS) and not isinstance(cause, TimeoutError)


def _is_fatal(error: asyncpg.PostgresError) -> bool:
    """Whether the server ends the connection after this error."""
    return getattr(error, "severity_en", None) in ("FATAL", "PANIC")


def _for_asyncpg(url: str, connect_timeout: float) -> tuple[str, float]:
    """`url` without the parameters that only libpq knows, and the connection time-out it asks for."""
    parts = urlsplit(url)
    query: list[tuple[str, str]] = []
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name == "connect_timeout":
            connect_timeout = float(value) or connect_timeout
        elif name not in _LIBPQ_ONLY:
            query.append((name, value))
    return urlunsplit(parts._replace(query=urlencode(query))), connect_timeout
