"""The verbs on an embedded PostgreSQL that starts with the application and needs no set-up."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from ...config import ClientConfig
from ...errors import InvalidRequestError, ProviderError
from ...io import Ports, PostgresIO, Statement, Transaction
from .provider import PostgresProvider
from .urls import read_url

if TYPE_CHECKING:
    from .embedded import Lease

R = TypeVar("R")


class LocalProvider(PostgresProvider):
    """Memories in a directory of this machine."""

    name = "local"
    is_alone = True

    def __init__(self, config: ClientConfig, ports: Ports) -> None:
        super().__init__(config, ports)
        self._path = _check_path(config.path)
        self._lease: Lease | None = None

    def _configured_url(self) -> None:
        if self.config.replica_url is not None:
            raise InvalidRequestError("replica_url: provider 'local' has no replica; provider='postgres' can have one")
        if self.config.url is not None:
            raise InvalidRequestError(
                "url: provider 'local' runs a server of its own; pass path= for its directory, "
                "or provider='postgres' to use the server at url"
            )

    async def open(self) -> None:
        await self._start()
        await super().open()
        if self._io is not None and not isinstance(self._io, RestartingIO):
            self._io = RestartingIO(self._io, self._start)

    async def close(self) -> None:
        try:
            await super().close()
        finally:
            if self._lease is not None:
                await self.ports.call(self._lease.release)

    async def _start(self) -> None:
        """Start the server unless it runs."""
        if self._lease is None:
            embedded = await self.ports.load("openmem.providers.postgres.embedded")
            self._lease = embedded.Lease(self._path)
        self._url = read_url(await self.ports.call(self._lease.acquire))


class RestartingIO:
    """Connections to a server that is started again when it crashed. The call that noticed fails."""

    def __init__(self, io: PostgresIO, start: Callable[[], Awaitable[None]]) -> None:
        self._io = io
        self._start = start
        self.learned = io.learned
        self.fill = io.fill
        self.usage = io.usage
        self.close = io.close

    async def execute(self, statement: Statement[R]) -> R:
        return await self._try(self._io.execute(statement))

    async def run_script(self, sql: str) -> None:
        await self._try(self._io.run_script(sql))

    async def transact(self, work: Callable[[Transaction], Awaitable[R]]) -> R:
        return await self._try(self._io.transact(work))

    async def _try(self, call: Awaitable[R]) -> R:
        try:
            return await call
        except ProviderError as error:
            if error.code == "provider_unavailable":
                await self._start()
            raise


def _check_path(path: str | os.PathLike[str] | None) -> str | None:
    if path is None:
        return None
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str) or not text.strip() or any(ord(character) < 32 for character in text):
        raise InvalidRequestError(f"path: {path!r} is not the name of a directory")
    return os.path.abspath(os.path.expanduser(text))
