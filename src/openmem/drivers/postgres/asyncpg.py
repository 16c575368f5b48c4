"""PostgreSQL for `AsyncMemory`: asyncpg connections, and what happens when a call is cancelled.

The caller of a cancelled or failed query never waits for the clean-up. The connection goes to a
task of its own, which lets asyncpg's cancel request reach the server, checks that the connection
answers again, and gives it back to the pool. One that does not answer within `RESET_TIMEOUT_SECONDS`
loses its slot in the pool to a new one. It is not dropped on the spot: asyncpg's cancel request,
which on a slow network takes several round trips, gets `CLOSE_TIMEOUT_SECONDS` to stop the query.

Behind a pooler no statement is kept prepared. asyncpg then prepares one and runs it in two round trips
without a Sync between, hence in one transaction, on one connection of the server.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import asyncpg

from ...errors import OMPError
from ...ports.errors import ReadOnlyDatabaseError
from ...ports.postgres import Copy, HalfVector, PostgresSettings, Row, ServerCache, Statement, Transaction
from ..loop_budget import LoopBudget
from ..tasks import task_group
from .asyncpg_connection import (
    DRIVER_ERRORS,
    BoundedWait,
    Connection,
    close,
    execute,
    fetch,
    is_fatal,
    may_be_another_database,
    register_halfvec,
)
from .asyncpg_connector import Connector
from .liveness import has_input, is_silent, waits_for_its_client
from .pool import CHECK_TIMEOUT_SECONDS, LOOK_TIMEOUT_SECONDS, SILENCE_SECONDS, Pool

R = TypeVar("R")

RESET_TIMEOUT_SECONDS = 0.4
CLOSE_GRACE_SECONDS = 2.0

logger = logging.getLogger("openmem.postgres")


class AsyncSemaphore:
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
        self.cache = ServerCache()
        self._pool: Pool[Connection] = Pool(
            AsyncSemaphore(settings.pool_max_size),
            self._connect,
            self._check,
            lambda connection: not connection.is_closed() and not has_input(connection.descriptor),
            lambda connection: connection.terminate(),
            min_size=settings.pool_min_size,
            max_size=settings.pool_max_size,
            timeout=settings.pool_timeout,
        )
        self._decoding = LoopBudget()
        self._cleanups: set[asyncio.Task[Any]] = set()
        self._connector = Connector(settings)

    async def execute(self, statement: Statement[R]) -> R:
        async def run(connection: Connection) -> Sequence[Row]:
            if not connection.knows_halfvec and any(isinstance(arg, HalfVector) for arg in statement.args):
                await register_halfvec(connection, self._settings.timeout)
                connection.knows_halfvec = True
            if not self._settings.session.is_per_transaction:
                return await fetch(connection, statement, self._settings.timeout)
            begin, timeout = self._settings.session.begin, self._settings.timeout
            return await self._in_transaction(connection, begin, lambda: fetch(connection, statement, timeout))

        rows = await self._with_connection(run)
        if len(rows) > 1:
            await self._decoding.acquire()
        return statement.decode(rows)

    async def run_script(self, sql: str) -> None:
        async def run(connection: Connection) -> None:
            session = self._settings.session
            script = f"{session.begin}; {sql}; COMMIT" if session.is_per_transaction else sql
            await execute(connection, script, self._settings.timeout)

        await self._with_connection(run)

    async def run_outside_transaction(self, sql: str) -> None:
        await self._with_connection(lambda connection: execute(connection, sql, self._settings.timeout))

    async def transact(self, work: Callable[[Transaction], Awaitable[R]], *, is_snapshot: bool = False) -> R:
        session = self._settings.session

        async def run(connection: Connection) -> R:
            transaction = AsyncpgTransaction(connection, self._settings.timeout)
            begin = session.begin_snapshot if is_snapshot else session.begin
            return await self._in_transaction(connection, begin, lambda: work(transaction))

        return await self._with_connection(run)

    async def _in_transaction(self, connection: Connection, begin: str, work: Callable[[], Awaitable[R]]) -> R:
        await execute(connection, begin, self._settings.timeout)
        result = await work()
        await execute(connection, "COMMIT", self._settings.timeout)
        return result

    async def fill(self) -> None:
        await self._pool.fill()

    def usage(self) -> tuple[int, int]:
        return self._pool.usage()

    async def close(self) -> None:
        try:
            await self._pool.close(CLOSE_GRACE_SECONDS)
            idle, busy = self._pool.connections()
            await close(*idle, *busy)
            if self._cleanups:
                await asyncio.wait(self._cleanups)
        finally:
            idle, busy = self._pool.connections()
            for connection in (*idle, *busy):
                connection.terminate()
            for cleanup in self._cleanups:
                cleanup.cancel()

    async def _with_connection(self, use: Callable[[Connection], Awaitable[R]]) -> R:
        return await self._use(await self._pool.acquire(), use)

    async def _use(self, connection: Connection, use: Callable[[Connection], Awaitable[R]]) -> R:
        try:
            result = await use(connection)
        except BaseException as error:
            cause = error.__cause__
            if may_be_another_database(cause):
                self.cache.forget()
            if isinstance(error, ReadOnlyDatabaseError):
                self._pool.retire(connection)
            if isinstance(cause, DRIVER_ERRORS) and not isinstance(cause, asyncpg.PostgresError):
                self._pool.distrust(connection)
            if isinstance(cause, asyncpg.PostgresError) and not connection.is_in_transaction():
                self._pool.release(connection, reusable=not is_fatal(cause))
            else:
                self._start_reset(connection)
            raise
        self._pool.release(connection)
        return result

    async def _check(self, connection: Connection) -> bool:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                await connection.execute("SELECT 1")
        except DRIVER_ERRORS:
            return False
        except BaseException:
            self._start_reset(connection)
            raise
        return True

    def _look(self, silent: Connection) -> asyncio.Task[bool]:
        look = asyncio.get_running_loop().create_task(self._is_forgotten(silent))
        self._cleanups.add(look)
        look.add_done_callback(self._cleanups.discard)
        return look

    async def _is_forgotten(self, silent: Connection) -> bool:
        """Whether the server knows nothing of the statement that a connection waits for."""
        if silent.is_closed() or not is_silent(silent.descriptor, SILENCE_SECONDS):
            return False
        statement = waits_for_its_client(silent.get_server_pid(), self._pool.age(silent))
        try:
            other = await self._pool.acquire_beside(silent)
            if other is None:
                return False
            return statement.decode(
                await self._use(other, lambda connection: fetch(connection, statement, LOOK_TIMEOUT_SECONDS))
            )
        except OMPError:
            logger.debug("it cannot be told whether the server works on a statement")
            return False

    async def _connect(self, within: float | None) -> Connection:
        """A new connection. When its caller is cancelled, it is finished for the next one.

        asyncpg leaves a complaint in the log where a login is cancelled, and most logins are about to end.
        """
        loop = asyncio.get_running_loop()
        opening = loop.create_task(self._open(within))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            self._cleanups.add(opening)
            opening.add_done_callback(self._on_opened)
            loop.call_later(RESET_TIMEOUT_SECONDS, opening.cancel)
            raise
        except BaseException:
            self._pool.release_slot()
            raise

    def _on_opened(self, opening: asyncio.Task[Connection]) -> None:
        self._cleanups.discard(opening)
        if opening.cancelled() or opening.exception() is not None:
            self._pool.release_slot()
        else:
            self._pool.release(opening.result())

    async def _open(self, within: float | None) -> Connection:
        connection = await self._connector.open(within)
        connection.look = partial(self._look, connection)
        return connection

    def _start_reset(self, connection: Connection) -> None:
        if connection.is_closed():
            self._pool.release(connection, reusable=False)
            return
        task = asyncio.get_running_loop().create_task(self._reset(connection))
        self._cleanups.add(task)
        task.add_done_callback(self._cleanups.discard)

    async def _reset(self, connection: Connection) -> None:
        clean = False
        try:
            async with asyncio.timeout(RESET_TIMEOUT_SECONDS):
                with suppress(asyncpg.InFailedSQLTransactionError):
                    await connection.execute("SELECT 1")
                if connection.is_in_transaction():
                    await connection.execute("ROLLBACK")
            clean = True
        except DRIVER_ERRORS:
            logger.debug("a connection did not answer after a cancelled call and was replaced")
        finally:
            if clean:
                self._pool.release(connection)
            else:
                self._pool.distrust(connection)
                self._pool.evict(connection)
                await close(connection)


class AsyncpgTransaction:
    """The `Transaction` port on asyncpg."""

    def __init__(self, connection: Connection, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout

    async def execute(self, statement: Statement[R]) -> R:
        return statement.decode(await fetch(self._connection, statement, self._timeout))

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
            )
