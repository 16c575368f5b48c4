"""PostgreSQL for `AsyncMemory`: asyncpg connections, and what happens when a call is cancelled.

The caller of a cancelled or failed query never waits for the clean-up. The connection goes to a
task of its own, which lets asyncpg's cancel request reach the server, checks that the connection
answers again, and gives it back to the pool, or else discards it, all within `RECOVERY_TIMEOUT`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

from ..errors import OMPError
from ..io import PostgresSettings, Row, Statement
from ..providers.postgres.errors import server_error, unreachable
from .pool import Pool

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
        self._pool: Pool[asyncpg.Connection] = Pool(
            AsyncSlots(settings.pool_max_size),
            self._connect,
            lambda connection: not connection.is_closed(),
            lambda connection: connection.terminate(),
            min_size=settings.pool_min_size,
            max_size=settings.pool_max_size,
            timeout=settings.pool_timeout,
        )
        self._recoveries: set[asyncio.Task[None]] = set()

    async def execute(self, statement: Statement[R]) -> R:
        rows: Sequence[Row] = await self._lend(
            lambda connection: connection.fetch(statement.sql, *statement.args, timeout=self._settings.timeout)
        )
        return statement.decode(rows)

    async def run_script(self, sql: str) -> None:
        await self._lend(lambda connection: connection.execute(sql))

    async def fill(self) -> None:
        await self._pool.fill()

    async def close(self) -> None:
        idle: list[asyncpg.Connection] = []
        try:
            idle = await self._pool.drain(CLOSE_GRACE)
            await asyncio.gather(
                *(connection.close(timeout=CLOSE_TIMEOUT) for connection in idle),
                *self._recoveries,
                return_exceptions=True,
            )
        finally:
            for connection in idle:
                connection.terminate()

    async def _lend(self, use: Callable[[asyncpg.Connection], Awaitable[R]]) -> R:
        connection = await self._pool.acquire()
        try:
            result = await use(connection)
        except asyncpg.PostgresError as error:
            self._pool.release(connection)
            raise server_error(error.sqlstate, str(error)) from error
        except BaseException as error:
            self._recover(connection)
            if isinstance(error, TimeoutError):
                raise unreachable(f"no answer within {self._settings.timeout:g} s") from error
            if isinstance(error, OSError | asyncpg.InterfaceError | asyncpg.InternalClientError):
                raise unreachable(str(error)) from error
            raise
        self._pool.release(connection)
        return result

    async def _connect(self) -> asyncpg.Connection:
        url, timeout = _for_asyncpg(self._settings.url, self._settings.connect_timeout)
        try:
            return await asyncpg.connect(url, timeout=timeout, server_settings={"jit": "off"})
        except asyncpg.PostgresError as error:
            raise server_error(error.sqlstate, str(error)) from error
        except TimeoutError as error:
            raise unreachable(f"no connection within {timeout:g} s") from error
        except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            raise unreachable(str(error)) from error

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
                await connection.execute("SELECT 1")
            clean = True
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            logger.debug("a connection did not answer after a cancelled call and was discarded")
        finally:
            self._pool.release(connection, reusable=clean)


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
