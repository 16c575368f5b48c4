"""PostgreSQL for `Memory`: blocking psycopg connections.

The methods are ``async def`` but block and never suspend; see `openmem.ports`. They are not for an
event loop. A wait that is given up, by its time limit or by Ctrl-C, asks the server to stop the
query and drops the connection.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import psycopg

from ...errors import OMPError
from ...ports import run_blocking
from ...ports.errors import ReadOnlyDatabaseError
from ...ports.postgres import Copy, HalfVector, PostgresSettings, ServerCache, Statement, Transaction
from .liveness import LostError, has_input, is_silent, waits_for_its_client
from .pool import CHECK_TIMEOUT_SECONDS, LOOK_TIMEOUT_SECONDS, SILENCE_SECONDS, Pool
from .psycopg_connection import (
    CANCEL_TIMEOUT_SECONDS,
    BoundedConnection,
    HalfVectorDumper,
    TimestampLoader,
    abort,
    cancel,
    connect,
    fetch,
    is_idle,
    roll_back,
    translate_errors,
)
from .sqlstate import is_missing

R = TypeVar("R")

CLOSE_GRACE_SECONDS = 2.0

logger = logging.getLogger("openmem.postgres")


class BlockingSemaphore:
    """A semaphore with a time limit, between threads. A queue takes a tenth of the time of `threading.Semaphore`."""

    def __init__(self, count: int) -> None:
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(count):
            self._free.put(None)

    async def acquire(self, timeout: float) -> bool:
        try:
            self._free.get(timeout=timeout)
        except Empty:
            return False
        return True

    def release(self) -> None:
        self._free.put(None)


class PsycopgIO:
    """The `PostgresIO` port on psycopg."""

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings
        self.cache = ServerCache()
        self._pool: Pool[BoundedConnection] = Pool(
            BlockingSemaphore(settings.pool_max_size),
            self._connect,
            self._check,
            lambda connection: not (connection.closed or connection.ended or has_input(connection.fileno())),
            lambda connection: connection.close(),
            min_size=settings.pool_min_size,
            max_size=settings.pool_max_size,
            timeout=settings.pool_timeout,
        )

    async def execute(self, statement: Statement[R]) -> R:
        def run(connection: BoundedConnection) -> list[tuple[Any, ...]]:
            if not self._settings.session.is_per_transaction:
                return fetch(connection, statement)
            return self._in_transaction(connection, self._settings.session.begin, lambda: fetch(connection, statement))

        return statement.decode(await self._with_connection(run))

    async def run_script(self, sql: str) -> None:
        def run(connection: BoundedConnection) -> None:
            session = self._settings.session
            script = f"{session.begin}; {sql}; COMMIT" if session.is_per_transaction else sql
            with translate_errors(self._settings.timeout):
                connection.execute(script.encode(), prepare=False)

        await self._with_connection(run)

    async def run_outside_transaction(self, sql: str) -> None:
        def run(connection: BoundedConnection) -> None:
            with translate_errors(self._settings.timeout):
                connection.execute(sql.encode(), prepare=False)

        await self._with_connection(run)

    async def transact(self, work: Callable[[Transaction], Awaitable[R]], *, is_snapshot: bool = False) -> R:
        session = self._settings.session

        def run(connection: BoundedConnection) -> R:
            async def working() -> R:
                return await work(PsycopgTransaction(connection))

            begin = session.begin_snapshot if is_snapshot else session.begin
            return self._in_transaction(connection, begin, lambda: run_blocking(working()))

        return await self._with_connection(run)

    def _in_transaction(self, connection: BoundedConnection, begin: str, work: Callable[[], R]) -> R:
        with translate_errors(self._settings.timeout):
            connection.execute(begin.encode(), prepare=False)
        try:
            result = work()
        except BaseException:
            roll_back(connection)
            raise
        with translate_errors(self._settings.timeout):
            connection.execute("COMMIT", prepare=False)
        return result

    async def fill(self) -> None:
        await self._pool.fill()

    def usage(self) -> tuple[int, int]:
        return self._pool.usage()

    async def close(self) -> None:
        await self._pool.close(CLOSE_GRACE_SECONDS)
        idle, busy = self._pool.connections()
        for connection in idle:
            connection.close()
        abort(busy)

    async def _with_connection(self, use: Callable[[BoundedConnection], R]) -> R:
        return self._use(await self._pool.acquire(), use)

    def _use(self, connection: BoundedConnection, use: Callable[[BoundedConnection], R]) -> R:
        reusable = False
        try:
            result = use(connection)
            reusable = True
            return result
        except BaseException as error:
            reusable = is_idle(connection)
            cause = error.__cause__
            if isinstance(error, ReadOnlyDatabaseError):
                self._pool.retire(connection)
            if connection.broken or isinstance(cause, TimeoutError):
                self._pool.distrust(connection)
            if isinstance(cause, psycopg.Error) and (connection.broken or is_missing(cause.sqlstate)):
                self.cache.forget()
            elif not reusable and not isinstance(cause, psycopg.Error | LostError):
                cancel(connection, CANCEL_TIMEOUT_SECONDS)
            raise
        finally:
            self._pool.release(connection, reusable=reusable)

    async def _check(self, connection: BoundedConnection) -> bool:
        try:
            connection.timeout = CHECK_TIMEOUT_SECONDS
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
        if not is_silent(silent.fileno(), SILENCE_SECONDS):
            return False
        statement = waits_for_its_client(silent.info.backend_pid, self._pool.age(silent))

        def ask(connection: BoundedConnection) -> bool:
            connection.timeout = LOOK_TIMEOUT_SECONDS
            answer = statement.decode(fetch(connection, statement))
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
            with translate_errors(settings.timeout):
                connection = connect(settings, within or settings.connect_timeout)
                connection.adapters.register_dumper(HalfVector, HalfVectorDumper)
                connection.adapters.register_loader("timestamptz", TimestampLoader)
                connection.timeout = settings.timeout
                connection.add_notice_handler(connection.heed)
                connection.execute(settings.session.on_connect.encode(), prepare=False)
        except BaseException:
            if connection is not None:
                connection.close()
            self._pool.release_slot()
            raise
        connection.is_forgotten = lambda: run_blocking(self._is_forgotten(connection))
        return connection


class PsycopgTransaction:
    """The `Transaction` port on psycopg."""

    def __init__(self, connection: BoundedConnection) -> None:
        self._connection = connection

    async def execute(self, statement: Statement[R]) -> R:
        return statement.decode(fetch(self._connection, statement))

    async def copy(self, rows: Copy, meanwhile: Callable[[], Awaitable[R]]) -> R:
        """The rows go into the buffers of the network at first, and the server reads on during `meanwhile`."""
        connection, timeout = self._connection, self._connection.timeout
        sql = f"COPY {rows.schema}.{rows.table} ({', '.join(rows.columns)}) FROM STDIN (FORMAT binary)"
        failure: BaseException | None = None
        try:
            with translate_errors(timeout), connection.cursor().copy(sql.encode()) as wire:
                wire.write(rows.data)
                try:
                    return await meanwhile()
                except BaseException as error:
                    failure = error
                    # Leaving the block tells the server, which may be dead.
                    connection.timeout = CANCEL_TIMEOUT_SECONDS
                    raise
        except BaseException:
            if failure is None:
                raise
            raise failure from failure.__cause__
        finally:
            connection.timeout = timeout
