"""The verbs on an embedded PostgreSQL that starts with the application and needs no set-up."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from ..._text import quoted
from ...config import ClientConfig
from ...errors import InvalidRequestError
from ...ports import Ports
from ...ports.errors import ConnectionFailedError
from ...ports.local import LocalServer
from ...ports.postgres import PostgresIO, PostgresSettings, Statement, Transaction
from .provider import PostgresProvider
from .servers import settings_for
from .urls import read_url

R = TypeVar("R")

PAUSES_SECONDS = (0.0, 0.05, 0.2)
"""Between the tries of a call that finds no server."""

PATIENCE_SECONDS = 2.0
"""How long a call may have taken to be tried again after it has failed."""


class LocalProvider(PostgresProvider):
    """Memories in a directory of this machine."""

    name = "local"
    settings = PostgresProvider.settings - {"url", "replica_url"} | {"path"}

    def __init__(self, config: ClientConfig, ports: Ports) -> None:
        super().__init__(config, ports, EmbeddedServer(config, ports))

    async def details(self) -> Mapping[str, str | int]:
        found = Statement("SELECT pg_catalog.current_setting('data_directory')", (), lambda rows: str(rows[0][0]))
        return {**await super().details(), "directory": os.path.dirname(await self._db.run(found))}


class EmbeddedServer:
    """The server of a directory, which runs while clients use it."""

    def __init__(self, config: ClientConfig, ports: Ports) -> None:
        self._config = config
        self._ports = ports
        self._path = _check_path(config.path)
        self._server: LocalServer | None = None

    async def settings(self) -> PostgresSettings:
        """How to reach the server, which is started unless it runs."""
        if self._server is None:
            self._server = await self._ports.local_server(self._path)
        url = read_url(await self._server.start())
        return await settings_for(self._config, self._ports, url, "url", ignores_environment=True)

    async def connect(self, settings: PostgresSettings) -> PostgresIO:
        current = settings

        async def restart() -> PostgresIO | None:
            """Start the server unless it runs. Connections to it if it is in another place now, as on Windows."""
            nonlocal current
            before, current = current, await self.settings()
            return None if current.parameters == before.parameters else await self._ports.postgres(current)

        return RestartingIO(await self._ports.postgres(settings), restart, self._ports)

    async def release(self) -> None:
        if self._server is not None:
            await self._server.release()


class RestartingIO:
    """Connections to a server that is started again when it is gone.

    A call is repeated if it is certain that the server did nothing of it. Otherwise the call that noticed fails.

    Args:
        io: the connections.
        restart: starts the server; returns other connections if these lead nowhere any more.
        ports: the outside world.
    """

    def __init__(
        self,
        io: PostgresIO,
        restart: Callable[[], Awaitable[PostgresIO | None]],
        ports: Ports,
    ) -> None:
        self._io = io
        self.cache = io.cache
        self._restart = restart
        self._ports = ports
        self._lock = ports.lock()
        self._closed = False

    async def execute(self, statement: Statement[R]) -> R:
        return await self._try(lambda io: io.execute(statement))

    async def run_script(self, sql: str) -> None:
        await self._try(lambda io: io.run_script(sql))

    async def run_outside_transaction(self, sql: str) -> None:
        await self._try(lambda io: io.run_outside_transaction(sql), lambda: False)

    async def transact(self, work: Callable[[Transaction], Awaitable[R]], *, is_snapshot: bool = False) -> R:
        begun = False

        async def begin(transaction: Transaction) -> R:
            nonlocal begun
            begun = True
            return await work(transaction)

        return await self._try(lambda io: io.transact(begin, is_snapshot=is_snapshot), lambda: not begun)

    async def fill(self) -> None:
        await self._try(lambda io: io.fill())

    def usage(self) -> tuple[int, int]:
        return self._io.usage()

    async def close(self) -> None:
        self._closed = True
        await self._io.close()

    async def _try(
        self, call: Callable[[PostgresIO], Awaitable[R]], is_repeatable: Callable[[], bool] = lambda: True
    ) -> R:
        # One that is about to end may still let a connection begin.
        for pause in PAUSES_SECONDS:
            io, began = self._io, self._ports.monotonic()
            try:
                return await call(io)
            except ConnectionFailedError as error:
                if self._closed:
                    raise
                was_quick = self._ports.monotonic() - began < PATIENCE_SECONDS
                await self._renew(io)
                if not (error.nothing_done and is_repeatable() and was_quick):
                    raise
            await self._ports.sleep(pause)
        return await call(self._io)

    async def _renew(self, failed: PostgresIO) -> None:
        """Start the server again, unless another call has done so and found it elsewhere."""
        async with self._lock:
            if self._io is not failed:
                return
            renewed = await self._restart()
            if renewed is None:
                return
            self._io, self.cache = renewed, renewed.cache
            await failed.close()
            if self._closed:
                await renewed.close()


def _check_path(path: str | os.PathLike[str] | None) -> str | None:
    if path is None:
        return None
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str) or not text.strip() or any(ord(character) < 32 for character in text):
        raise InvalidRequestError(f"path: {quoted(path)} is not the name of a directory")
    if "://" in text:
        raise InvalidRequestError(
            "path: it is a URL, not a directory; to use a server pass url= and provider='postgres'"
        )
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise InvalidRequestError("path: it has a character that no name of a file can have; remove it") from None
    return os.path.abspath(os.path.expanduser(text))
