"""How asyncpg comes to a connection as the URL asks for it: which host, with or without TLS, in which state."""

from __future__ import annotations

import asyncio
import ssl
import sys

import asyncpg

from ...errors import OMPError, ProviderError
from ...ports.postgres import PostgresHost, PostgresSettings
from . import tls
from .asyncpg_connection import Connection, translate_errors
from .dialing import Line, in_order
from .liveness import TCP_DEFAULTS, set_tcp_options
from .sqlstate import unreachable


class Connector:
    """Makes connections to the servers of one URL."""

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings
        self._tls: ssl.SSLContext | None = None

    async def open(self, within: float | None) -> Connection:
        """A connection to the first host that can be reached and is what `target_session_attrs` asks for."""
        attributes = self._settings.parameters.get("target_session_attrs")
        hosts = in_order(self._settings.parameters)
        failure: OMPError | None = None
        for wanted in ("standby", "any") if attributes == "prefer-standby" else (attributes,):
            for host in hosts:
                connection: Connection | None = None
                try:
                    connection = await self._open_host(host, within or self._settings.connect_timeout)
                    if await self._is_wanted(connection, wanted):
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

    async def _open_host(self, host: PostgresHost, timeout: float) -> Connection:
        connection: Connection | None = None
        try:
            with translate_errors(timeout, "no connection"):
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
                # By default statements of over 15 kB, which take longest to plan, would be prepared anew for each call.
                max_cacheable_statement_size=0,
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
        with translate_errors(self._settings.connect_timeout):
            is_standby, read_only = await connection.fetchrow(
                "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('default_transaction_read_only')",
                timeout=self._settings.connect_timeout,
            )
        if attributes in ("primary", "standby"):
            return bool(is_standby) == (attributes == "standby")
        return (bool(is_standby) or read_only == "on") == (attributes == "read-only")
