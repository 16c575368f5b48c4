"""The verbs on an embedded PostgreSQL that starts with the application and needs no set-up."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...config import ClientConfig
from ...errors import InvalidRequestError
from ...io import Ports
from .provider import PostgresProvider

if TYPE_CHECKING:
    from .embedded import Lease


class LocalProvider(PostgresProvider):
    """Memories in a directory of this machine."""

    name = "local"

    def __init__(self, config: ClientConfig, ports: Ports) -> None:
        super().__init__(config, ports)
        self._path = _check_path(config.path)
        self._lease: Lease | None = None

    def _configured_url(self) -> None:
        if self.config.url is not None:
            raise InvalidRequestError(
                "url: provider 'local' runs a server of its own; pass path= for its directory, "
                "or provider='postgres' to use the server at url"
            )

    async def open(self) -> None:
        if self._lease is None:
            embedded = await self.ports.load("openmem.providers.postgres.embedded")
            self._lease = embedded.Lease(self._path)
        self._url = await self.ports.call(self._lease.acquire)
        await super().open()

    async def close(self) -> None:
        try:
            await super().close()
        finally:
            if self._lease is not None:
                await self.ports.call(self._lease.release)


def _check_path(path: str | os.PathLike[str] | None) -> str | None:
    if path is None:
        return None
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str) or not text.strip() or any(ord(character) < 32 for character in text):
        raise InvalidRequestError(f"path: {path!r} is not the name of a directory")
    return os.path.abspath(os.path.expanduser(text))
