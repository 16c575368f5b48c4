"""PostgreSQL for `Memory`: blocking psycopg connections.

The methods are ``async def`` but block and never suspend; see `openmem.io`. They are not for an
event loop.
"""

from __future__ import annotations

import logging
import select
import threading
import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import psycopg
from psycopg import RawCursor
from psycopg.abc import PQGen

from ..io import PostgresSettings, Statement
from ..providers.postgres.errors import server_error, unreachable
from .pool import Pool

R = TypeVar("R")

CLOSE_GRACE = 2.0
CANCEL_TIMEOUT = 1.0

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
    """A connection that gives up waiting for the server after `timeout` seconds."""

    timeout: float = 60.0

    def wait(self, gen: PQGen[R], *args: Any, **kwargs: Any) -> R:
        return super().wait(_until(time.monotonic() + self.timeout, gen), *args, **kwargs)


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


class PsycopgIO:
    """The `PostgresIO` port on psycopg."""

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings
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
        def run(connection: BoundedConnection) -> list[tuple[Any, ...]]:
            cursor = connection.cursor(binary=True)
            return cursor.execute(statement.sql, statement.args, prepare=True).fetchall()

        return statement.decode(await self._lend(run))

    async def run_script(self, sql: str) -> None:
        await self._lend(lambda connection: connection.execute(sql, prepare=False))

    async def fill(self) -> None:
        await self._pool.fill()

    async def close(self) -> None:
        for connection in await self._pool.drain(CLOSE_GRACE):
            connection.close()

    async def _lend(self, use: Callable[[BoundedConnection], R]) -> R:
        connection = await self._pool.acquire()
        reusable = False
        try:
            result = use(connection)
            reusable = True
            return result
        except TimeoutError as error:
            connection.cancel_safe(timeout=CANCEL_TIMEOUT)
            raise unreachable(f"no answer within {self._settings.timeout:g} s") from error
        except psycopg.Error as error:
            reusable = not connection.broken
            raise _translated(error) from error
        finally:
            self._pool.release(connection, reusable=reusable)

    async def _connect(self) -> BoundedConnection:
        try:
            connection = BoundedConnection.connect(
                self._settings.url,
                autocommit=True,
                prepare_threshold=0,
                cursor_factory=RawCursor,
                connect_timeout=max(2, round(self._settings.connect_timeout)),
            )
        except psycopg.Error as error:
            raise _translated(error) from error
        connection.timeout = self._settings.timeout
        return connection


def _translated(error: psycopg.Error) -> Exception:
    if error.sqlstate is None:
        return unreachable(str(error))
    return server_error(error.sqlstate, str(error))


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
