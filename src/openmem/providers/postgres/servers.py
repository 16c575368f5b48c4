"""Which server a client uses, and how it is reached. Pure."""

from __future__ import annotations

from typing import Final, Protocol

from ...config import DEFAULT_POOL_TIMEOUT_SECONDS, ClientConfig
from ...ports import Ports
from ...ports.postgres import PostgresIO, PostgresSettings
from . import session
from .urls import PastedUrl, is_known_pooler, read_url

POSTGRES_CONNECT_TIMEOUT_SECONDS: Final = 10.0
"""Seconds to wait for a connection, if nothing else is said."""

STATEMENT_TIMEOUT_SECONDS: Final = 60.0
"""Seconds to wait for a statement, if nothing else is said."""


class PostgresServer(Protocol):
    """A server that a client uses."""

    async def settings(self) -> PostgresSettings:
        """How to reach the server at this moment, also when it has moved."""
        ...

    async def connect(self, settings: PostgresSettings) -> PostgresIO:
        """Connections to the server."""
        ...

    async def release(self) -> None:
        """End the use of the server. Idempotent."""
        ...


class RemoteServer:
    """The server that a URL names. It starts and stops without the client.

    Args:
        url: as the user passed it.
        setting: the argument that the user passed it as, for messages.
    """

    def __init__(self, config: ClientConfig, ports: Ports, url: str | None, setting: str) -> None:
        self._config = config
        self._ports = ports
        self._url = read_url(url, setting)
        self._setting = setting

    async def settings(self) -> PostgresSettings:
        return await settings_for(self._config, self._ports, self._url, self._setting)

    async def connect(self, settings: PostgresSettings) -> PostgresIO:
        return await self._ports.postgres(settings)

    async def release(self) -> None:
        pass


async def settings_for(
    config: ClientConfig, ports: Ports, url: PastedUrl, setting: str, *, ignores_environment: bool = False
) -> PostgresSettings:
    """How to reach the server of `url`, as libpq reads it together with the environment of this moment."""
    parameters = await ports.connection_parameters(url.url, setting, ignores_environment=ignores_environment)
    pooled = is_known_pooler(parameters) if url.pooled is None else url.pooled
    most = min(config.pool_max_size, url.connection_limit or config.pool_max_size)
    is_default = config.pool_timeout == DEFAULT_POOL_TIMEOUT_SECONDS
    return PostgresSettings(
        parameters=parameters,
        session=session.POOLED if pooled else session.DIRECT,
        pooled=pooled,
        pool_min_size=min(config.pool_min_size, most),
        pool_max_size=most,
        pool_timeout=url.pool_timeout if url.pool_timeout and is_default else config.pool_timeout,
        connect_timeout=float(parameters.get("connect_timeout", "0"))
        or min(POSTGRES_CONNECT_TIMEOUT_SECONDS, config.timeout or POSTGRES_CONNECT_TIMEOUT_SECONDS),
        timeout=config.timeout or STATEMENT_TIMEOUT_SECONDS,
    )
