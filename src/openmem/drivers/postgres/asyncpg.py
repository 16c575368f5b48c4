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
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Any, TypeVar
from weakref import WeakSet

import asyncpg

from ...errors import OMPError, ProviderError
from ...ports.errors import ReadOnlyDatabaseError
from ...ports.postgres import Copy, HalfVector, Learned, PostgresHost, PostgresSettings, Row, Statement, Transaction
from ..tasks import task_group
from ..turns import Turns
from . import tls
from .dialing import Line, in_order
from .liveness import (
    TCP_DEFAULTS,
    LostError,
    has_input,
    is_brief,
    is_silent,
    no_answer,
    set_tcp_options,
    waits_for_its_client,
)
from .pool import CHECK_TIMEOUT, LOOK_TIMEOUT, SILENCE, SILENCE_GRACE, Pool
from .sqlstate import connection_refused, is_missing, server_error, unreachable

R = TypeVar("R")

RECOVERY_TIMEOUT = 0.4
CLOSE_GRACE = 2.0
CLOSE_TIMEOUT = 1.0

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


class Connection(asyncpg.Connection):  # type: ignore[misc]
    """A connection that knows its socket.

    Attributes:
        descriptor: of the socket.
        look: begins to find out whether the network has forgotten it; set once the connection is in a pool.
    """

    __slots__ = ("descriptor", "look")

    def __init__(self, protocol: Any, transport: asyncio.Transport, *args: Any, **kwargs: Any) -> None:
        super().__init__(protocol, transport, *args, **kwargs)
        self.descriptor: int = transport.get_extra_info("socket").fileno()
        self.look: Callable[[], asyncio.Task[bool]] | None = None


class BoundedWait:
    """Waits for an answer within a time limit, or until the network has forgotten the connection. Translates errors.

    Args:
        timeout: seconds, which asyncpg is given too. It is here for the message.
        is_brief: whether the server has received the statement by the time that an answer is missed.
    """

    __slots__ = ("_connection", "_is_brief", "_limit", "_look", "_timeout", "_timer", "_waited")

    def __init__(self, connection: Connection, timeout: float, *, is_brief: bool = True) -> None:
        self._connection = connection
        self._timeout = timeout
        self._is_brief = is_brief
        self._limit = asyncio.timeout(None)
        self._waited = SILENCE
        self._look: asyncio.Task[bool] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()
        if self._connection.look is not None and self._is_brief:
            self._timer = asyncio.get_running_loop().call_later(SILENCE, self._begin_look)

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
            raise no_answer(LostError(), self._timeout) from late
        if isinstance(error, _DRIVER_ERRORS):
            with _translated_errors(self._timeout):
                raise error

    def _begin_look(self) -> None:
        assert self._connection.look is not None
        self._look = self._connection.look()
        self._look.add_done_callback(self._end_look)

    def _end_look(self, look: asyncio.Task[bool]) -> None:
        if look is not self._look or look.cancelled():
            return
        loop = asyncio.get_running_loop()
        if look.result():
            # Unless the answer is on its way.
            self._limit.reschedule(loop.time() + SILENCE_GRACE)
        else:
            self._timer = loop.call_later(self._waited, self._begin_look)
            self._waited *= 2


class AsyncpgIO:
    """The `PostgresIO` port on asyncpg."""

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings
        self.learned = Learned()
        self._pool: Pool[Connection] = Pool(
            AsyncSlots(settings.pool_max_size),
            self._connect,
            self._check,
            lambda connection: not connection.is_closed() and not has_input(connection.descriptor),
            lambda connection: connection.terminate(),
            min_size=settings.pool_min_size,
            max_size=settings.pool_max_size,
            timeout=settings.pool_timeout,
        )
        self._decoding = Turns()
        self._recoveries: set[asyncio.Task[Any]] = set()
        self._knowing_vectors: WeakSet[Connection] = WeakSet()
        self._tls: ssl.SSLContext | None = None

    async def execute(self, statement: Statement[R]) -> R:
        async def fetch(connection: Connection) -> Sequence[Row]:
            if connection not in self._knowing_vectors and any(isinstance(arg, HalfVector) for arg in statement.args):
                await _teach_vectors(connection, self._settings.timeout)
                self._knowing_vectors.add(connection)
            if not self._settings.session.is_per_transaction:
                return await _fetch(connection, statement, self._settings.timeout)
            return await self._in_transaction(connection, lambda: _fetch(connection, statement, self._settings.timeout))

        rows = await self._lend(fetch)
        await self._decoding.take()
        return statement.decode(rows)

    async def run_script(self, sql: str) -> None:
        async def run(connection: Connection) -> None:
            session = self._settings.session
            script = f"{session.begin}; {sql}; COMMIT" if session.is_per_transaction else sql
            await _execute(connection, script, self._settings.timeout)

        await self._lend(run)

    async def transact(self, work: Callable[[Transaction], Awaitable[R]]) -> R:
        async def run(connection: Connection) -> R:
            transaction = AsyncpgTransaction(connection, self._settings.timeout)
            return await self._in_transaction(connection, lambda: work(transaction))

        return await self._lend(run)

    async def _in_transaction(self, connection: Connection, work: Callable[[], Awaitable[R]]) -> R:
        await _execute(connection, self._settings.session.begin, self._settings.timeout)
        result = await work()
        await _execute(connection, "COMMIT", self._settings.timeout)
        return result

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

    async def _lend(self, use: Callable[[Connection], Awaitable[R]]) -> R:
        return await self._use(await self._pool.acquire(), use)

    async def _use(self, connection: Connection, use: Callable[[Connection], Awaitable[R]]) -> R:
        try:
            result = await use(connection)
        except BaseException as error:
            cause = error.__cause__
            if _may_be_another_database(cause):
                self.learned.forget()
            if isinstance(error, ReadOnlyDatabaseError):
                self._pool.retire(connection)
            if isinstance(cause, _DRIVER_ERRORS) and not isinstance(cause, asyncpg.PostgresError):
                self._pool.distrust(connection)
            if isinstance(cause, asyncpg.PostgresError) and not connection.is_in_transaction():
                self._pool.release(connection, reusable=not _is_fatal(cause))
            else:
                self._recover(connection)
            raise
        self._pool.release(connection)
        return result

    async def _check(self, connection: Connection) -> bool:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                await connection.execute("SELECT 1")
        except _DRIVER_ERRORS:
            return False
        except BaseException:
            self._recover(connection)
            raise
        return True

    def _look(self, silent: Connection) -> asyncio.Task[bool]:
        look = asyncio.get_running_loop().create_task(self._is_forgotten(silent))
        self._recoveries.add(look)
        look.add_done_callback(self._recoveries.discard)
        return look

    async def _is_forgotten(self, silent: Connection) -> bool:
        """Whether the server knows nothing of the statement that a connection waits for."""
        if silent.is_closed() or not is_silent(silent.descriptor, SILENCE):
            return False
        statement = waits_for_its_client(silent.get_server_pid(), self._pool.age(silent))
        try:
            other = await self._pool.acquire_beside(silent)
            if other is None:
                return False
            return statement.decode(
                await self._use(other, lambda connection: _fetch(connection, statement, LOOK_TIMEOUT))
            )
        except OMPError:
            logger.debug("it cannot be told whether the server works on a statement")
            return False

    async def _connect(self, within: float | None) -> Connection:
        """A new connection. When its caller is cancelled, it is finished for the next one.

        asyncpg leaves a complaint in the log where a handshake is cancelled, and most are about to end.
        """
        loop = asyncio.get_running_loop()
        handshake = loop.create_task(self._shake_hands(within))
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

    def _settle(self, handshake: asyncio.Task[Connection]) -> None:
        self._recoveries.discard(handshake)
        if handshake.cancelled() or handshake.exception() is not None:
            self._pool.vacate()
        else:
            self._pool.release(handshake.result())

    async def _shake_hands(self, within: float | None) -> Connection:
        """A connection to the first host that can be reached and is what `target_session_attrs` asks for."""
        attributes = self._settings.parameters.get("target_session_attrs")
        hosts = in_order(self._settings.parameters)
        failure: OMPError | None = None
        for wanted in ("standby", "any") if attributes == "prefer-standby" else (attributes,):
            for host in hosts:
                connection: Connection | None = None
                try:
                    connection = await self._open(host, within or self._settings.connect_timeout)
                    if await self._is_wanted(connection, wanted):
                        connection.look = partial(self._look, connection)
                        return connection
                    connection.terminate()
                    failure = unreachable(f"no host is what target_session_attrs={attributes} asks for")
                except BaseException as error:
                    if connection is not None:
                        connection.terminate()
                    # What refuses a login would do so on the next host.
                    if not isinstance(error, ProviderError) or error.code != "provider_unavailable":
                        raise
                    failure = error
        assert failure is not None
        raise failure

    async def _open(self, host: PostgresHost, timeout: float) -> Connection:
        connection: Connection | None = None
        try:
            with _translated_errors(timeout, "no connection"):
                async with asyncio.timeout(timeout):
                    connection = await self._dial(host)
                    set_tcp_options(connection.descriptor, {**TCP_DEFAULTS, **dict(self._settings.parameters.values)})
                    await connection.execute(self._settings.session.on_connect)
        except BaseException:
            if connection is not None:
                connection.terminate()
            raise
        return connection

    async def _dial(self, host: PostgresHost) -> Connection:
        """A connection with or without TLS, as `sslmode` asks for it."""
        mode = self._settings.parameters.get("sslmode")
        if mode == "disable" or host.is_socket:
            return await self._log_in(host, self._line(host, None))
        if self._tls is None:
            loop = asyncio.get_running_loop()
            self._tls = await loop.run_in_executor(None, tls.context_of, self._settings.parameters)
        if mode == "allow":
            try:
                return await self._log_in(host, self._line(host, None))
            except asyncpg.InvalidAuthorizationSpecificationError as error:
                if isinstance(error, asyncpg.InvalidPasswordError):
                    raise
                return await self._log_in(host, self._line(host, self._tls))
        encrypted = self._line(host, self._tls, insists=mode != "prefer")
        try:
            return await self._log_in(host, encrypted)
        except (OSError, asyncpg.InvalidAuthorizationSpecificationError) as error:
            if mode != "prefer" or not encrypted.is_encrypted or isinstance(error, asyncpg.InvalidPasswordError):
                raise
            return await self._log_in(host, self._line(host, None))

    def _line(self, host: PostgresHost, context: ssl.SSLContext | None, *, insists: bool = True) -> Line:
        return Line(asyncio.get_running_loop(), host, self._settings.parameters, context, insists=insists)

    async def _log_in(self, host: PostgresHost, line: Line) -> Connection:
        """asyncpg is given every parameter, so that it does not look for any in the environment."""
        parameters = self._settings.parameters
        sent = {
            "application_name": parameters.get("application_name") or parameters.get("fallback_application_name"),
            "options": parameters.get("options"),
        }
        try:
            connection: Connection = await asyncpg.connect(
                loop=line,
                host=host.name or host.address,
                port=host.port,
                user=parameters.get("user"),
                password=lambda: host.password or None,
                database=parameters.get("dbname"),
                ssl=False,
                direct_tls=False,
                server_settings={name: value for name, value in sent.items() if value},
                target_session_attrs="any",
                krbsrvname=parameters.get("krbsrvname") or "postgres",
                gsslib=parameters.get("gsslib") or ("sspi" if sys.platform == "win32" else "gssapi"),
                timeout=None,
                connection_class=Connection,
                **({"statement_cache_size": 0} if self._settings.pooled else {}),
            )
        except asyncpg.ConnectionDoesNotExistError:
            if line.refusal is not None:
                raise line.refusal from None
            raise
        return connection

    async def _is_wanted(self, connection: Connection, attributes: str) -> bool:
        """Whether the server is in the state that a value of `target_session_attrs` asks for."""
        if attributes == "any":
            return True
        with _translated_errors(self._settings.connect_timeout):
            is_standby, read_only = await connection.fetchrow(
                "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('default_transaction_read_only')",
                timeout=self._settings.connect_timeout,
            )
        if attributes in ("primary", "standby"):
            return bool(is_standby) == (attributes == "standby")
        return (bool(is_standby) or read_only == "on") == (attributes == "read-only")

    def _recover(self, connection: Connection) -> None:
        if connection.is_closed():
            self._pool.release(connection, reusable=False)
            return
        task = asyncio.get_running_loop().create_task(self._make_clean(connection))
        self._recoveries.add(task)
        task.add_done_callback(self._recoveries.discard)

    async def _make_clean(self, connection: Connection) -> None:
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
                self._pool.distrust(connection)
                self._pool.forget(connection)
                await _close(connection)


class AsyncpgTransaction:
    """The `Transaction` port on asyncpg."""

    def __init__(self, connection: Connection, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout

    async def execute(self, statement: Statement[R]) -> R:
        return statement.decode(await _fetch(self._connection, statement, self._timeout))

    async def copy(self, rows: Copy, meanwhile: Callable[[], Awaitable[R]]) -> R:
        async with task_group() as group:
            group.create_task(self._send(rows))
            return await meanwhile()

    async def _send(self, rows: Copy) -> None:
        async with BoundedWait(self._connection, self._timeout):
            await self._connection.copy_to_table(
                rows.table,
                schema_name=rows.schema,
                columns=rows.columns,
                source=memoryview(rows.data),
                format="binary",
                timeout=self._timeout,
            )


async def _fetch(connection: Connection, statement: Statement[Any], timeout: float) -> Sequence[Row]:
    async with BoundedWait(connection, timeout, is_brief=is_brief(statement)):
        rows: Sequence[Row] = await connection.fetch(statement.sql, *statement.args, timeout=timeout)
        return rows


async def _teach_vectors(connection: Connection, timeout: float) -> None:
    """Let a connection send a `HalfVector` as it is, for which it must know the type's number in this database."""
    async with BoundedWait(connection, timeout):
        async with asyncio.timeout(timeout):
            schema = await connection.fetchval(
                "SELECT n.nspname FROM pg_catalog.pg_extension e "
                "JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'"
            )
            if schema is not None:
                await connection.set_type_codec("halfvec", schema=schema, encoder=bytes, decoder=bytes, format="binary")


async def _execute(connection: Connection, sql: str, timeout: float) -> None:
    async with BoundedWait(connection, timeout):
        await connection.execute(sql, timeout=timeout)


@contextmanager
def _translated_errors(timeout: float, missed: str = "no answer") -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise unreachable(f"{missed} within {timeout:g} s") from error
    except _DRIVER_ERRORS as error:
        raise _translated(error) from error


async def _close(*connections: Connection) -> None:
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
    if isinstance(error, asyncpg.DataError) and error.severity is None:
        # The driver's own, whose message quotes the value.
        return ProviderError("PostgreSQL: a value cannot be sent; see the __cause__ of this error")
    if isinstance(error, asyncpg.PostgresError):
        farewell = error.__cause__ if isinstance(error, asyncpg.ConnectionDoesNotExistError) else None
        said = farewell if isinstance(farewell, asyncpg.PostgresError) else error
        return server_error(said.sqlstate, str(said))
    if isinstance(error, asyncpg.InternalClientError) and str(error).startswith("cannot switch to state"):
        ended = unreachable("the server ended the connection")
        ended.nothing_done = True
        return ended
    if isinstance(error, ValueError) and not isinstance(error, OSError):
        return ProviderError(f"PostgreSQL: {error}")
    return connection_refused(str(error))


def _may_be_another_database(cause: BaseException | None) -> bool:
    """Whether what was known of the database may be wrong after this error."""
    if isinstance(cause, asyncpg.PostgresError):
        return _is_fatal(cause) or is_missing(cause.sqlstate)
    return isinstance(cause, _DRIVER_ERRORS) and not isinstance(cause, TimeoutError)


def _is_fatal(error: asyncpg.PostgresError) -> bool:
    """Whether the server ends the connection after this error."""
    return getattr(error, "severity_en", None) in ("FATAL", "PANIC")
