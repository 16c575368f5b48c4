"""Connections to PostgreSQL as libpq makes them, for asyncpg.

asyncpg knows a part of libpq's parameters, some with another meaning, and reads the environment anew where one has no
value. So it is given an event loop whose connections are made here: the socket, TLS as `sslmode` asks for it, and
the choice among several hosts. asyncpg then speaks the protocol on a connection that is ready, and its request to
cancel a query takes the same way to the same server.

Where the URL limits how the server may ask for a password, `LoginGuard` receives the server's messages until the login
is over, and hands them to asyncpg. It logs in by itself where that takes channel binding, which asyncpg does not have.
"""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from ...ports.postgres import ConnectionParameters, PostgresHost
from .scram import ScramPlus

SSL_REQUEST: Final = struct.pack("!ii", 8, 80877103)
_OK, _CLEARTEXT, _MD5, _GSS, _SSPI, _SASL, _SASL_CONTINUE, _SASL_FINAL = 0, 3, 5, 7, 9, 10, 11, 12
_METHODS: Final = {_CLEARTEXT: "password", _MD5: "md5", _GSS: "gss", _SSPI: "sspi"}


class LoginRefusedError(ConnectionError):
    """The server asked to be trusted in a way that the URL rules out."""


class Wire(Protocol):
    """A protocol that asyncpg attaches to a connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...

    def connection_lost(self, exc: Exception | None) -> None: ...

    def data_received(self, data: bytes) -> None: ...


class Line:
    """The way to one host: an event loop as asyncpg sees it, which connects nowhere else.

    Args:
        host: the server.
        parameters: how to connect.
        context: what TLS asks for and shows.
        encrypts: whether to use TLS at all.
        insists: whether to fail where the server has no TLS.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        host: PostgresHost,
        parameters: ConnectionParameters,
        context: ssl.SSLContext | None,
        *,
        insists: bool,
    ) -> None:
        self._loop = loop
        self._host = host
        self._parameters = parameters
        self._context = context
        self._insists = insists
        self.is_encrypted = False
        self._is_logged_in = False
        self._login_guard: LoginGuard | None = None

    @property
    def refusal(self) -> ConnectionError | None:
        """Why the login was broken off here, which asyncpg takes for a lost connection."""
        return None if self._login_guard is None else self._login_guard.refusal

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def __eq__(self, other: object) -> bool:
        return self._loop is other or (isinstance(other, Line) and other._loop is self._loop)

    def __hash__(self) -> int:
        return hash(self._loop)

    async def create_connection(self, factory: Callable[[], Wire], *_: object) -> tuple[asyncio.Transport, Wire]:
        """A connection with asyncpg's protocol on it; the first one logs in, later ones cancel queries."""
        transport = await self._connect()
        try:
            wire = factory()
            if self._is_logged_in or not self._is_gated:
                transport.set_protocol(cast(asyncio.Protocol, wire))
            else:
                self._login_guard = LoginGuard(transport, wire, self._parameters, self._host)
                transport.set_protocol(self._login_guard)
            self._is_logged_in = True
            wire.connection_made(transport)
        except BaseException:
            transport.abort()
            raise
        return transport, wire

    async def create_unix_connection(self, factory: Callable[[], Wire], *_: object) -> tuple[asyncio.Transport, Wire]:
        """The same, which asyncpg calls where a host is a path."""
        return await self.create_connection(factory)

    @property
    def _is_gated(self) -> bool:
        return bool(self._parameters.get("require_auth")) or self._parameters.get("channel_binding") == "require"

    async def _connect(self) -> asyncio.Transport:
        if self._host.is_socket:
            return await self._connect_socket()
        address = self._host.address or self._host.name
        if self._context is None:
            transport, _ = await self._loop.create_connection(asyncio.Protocol, address, self._host.port)
            _tell_at_once(transport)
            return transport
        name = "" if self._parameters.get("sslsni") == "0" else self._host.name or self._host.address
        if self._parameters.get("sslnegotiation") == "direct":
            transport, _ = await self._loop.create_connection(
                asyncio.Protocol, address, self._host.port, ssl=self._context, server_hostname=name
            )
            self.is_encrypted = True
            return transport
        return await self._negotiate(address, name)

    async def _negotiate(self, address: str, name: str) -> asyncio.Transport:
        """Ask for TLS, and go on without where that is enough."""
        transport, answer = await self._loop.create_connection(Answer, address, self._host.port)
        try:
            _tell_at_once(transport)
            transport.write(SSL_REQUEST)
            said = await answer.byte
            if said == b"S":
                self.is_encrypted = True
                assert self._context is not None
                started = await self._loop.start_tls(transport, answer, self._context, server_hostname=name)
                if started is None:
                    raise ConnectionError("the connection was closed while TLS was set up")
                return started
            if said != b"N" or self._insists:
                raise ConnectionError("the server does not support TLS, which sslmode asks for")
            return transport
        except BaseException:
            transport.abort()
            raise

    async def _connect_socket(self) -> asyncio.Transport:
        # On Linux a name that begins with @ is not a file.
        path = f"{self._host.name}/.s.PGSQL.{self._host.port}"
        path = f"\0{path[1:]}" if path.startswith("@") else path
        transport, _ = await self._loop.create_unix_connection(asyncio.Protocol, path)
        if peer := self._parameters.get("requirepeer"):
            try:
                _check_peer(transport.get_extra_info("socket"), peer)
            except BaseException:
                transport.abort()
                raise
        return transport


def _tell_at_once(transport: asyncio.Transport) -> None:
    transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _check_peer(wire: Any, wanted: str) -> None:
    import pwd  # noqa: PLC0415 - not on Windows

    credentials = wire.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", credentials)
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:
        name = str(user)
    if name != wanted:
        raise LoginRefusedError(f"requirepeer: the server runs as {name!r}, not as {wanted!r}")


class Answer(asyncio.Protocol):
    """Receives the one byte that answers whether a server has TLS. More than that is an attack."""

    def __init__(self) -> None:
        self.byte: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        if not self.byte.done():
            self.byte.set_result(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.byte.done():
            self.byte.set_exception(exc or ConnectionError("the server closed the connection"))
            self.byte.exception()


class LoginGuard(asyncio.Protocol):
    """Receives the server's messages before asyncpg until the login is over, and refuses what the URL does not allow.

    Args:
        wire: asyncpg's protocol, which receives everything that is not refused or answered here.

    Attributes:
        refusal: why the login was broken off.
    """

    def __init__(
        self, transport: asyncio.Transport, wire: Wire, parameters: ConnectionParameters, host: PostgresHost
    ) -> None:
        self._transport = transport
        self._wire = wire
        self._methods = [part.strip() for part in parameters.get("require_auth").split(",") if part.strip()]
        self._binds = parameters.get("channel_binding") == "require"
        self._host = host
        self._scram: ScramPlus | None = None
        self._asked = False
        self._bound = False
        self._buffer = bytearray()
        self.refusal: ConnectionError | None = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            while self._forward():
                pass
        except ConnectionError as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._wire.connection_lost(exc)

    def _fail(self, error: ConnectionError) -> None:
        self.refusal = error
        self._transport.abort()
        self._transport.set_protocol(asyncio.Protocol())
        self._wire.connection_lost(error)

    def _forward(self) -> bool:
        """Deal with one message; False if there is none, or asyncpg reads by itself from now on."""
        if len(self._buffer) < 5:
            return False
        kind, length = struct.unpack_from("!ci", self._buffer)
        if len(self._buffer) < 1 + length:
            return False
        message = bytes(self._buffer[: 1 + length])
        if kind != b"R":
            # An error, or an agreement on the protocol's version.
            del self._buffer[: 1 + length]
            self._wire.data_received(message)
            return True
        [method] = struct.unpack_from("!i", message, 5)
        if method == _OK:
            self._check_end()
            rest = bytes(self._buffer)
            self._buffer.clear()
            self._transport.set_protocol(cast(asyncio.Protocol, self._wire))
            self._wire.data_received(rest)
            return False
        del self._buffer[: 1 + length]
        if not self._answer(method, message[9:]):
            self._wire.data_received(message)
        return True

    def _answer(self, method: int, body: bytes) -> bool:
        """Whether a request to log in is dealt with here."""
        if method == _SASL:
            mechanisms = [name.decode("ascii", "replace") for name in body.split(b"\0") if name]
            self._check_method("oauth" if "OAUTHBEARER" in mechanisms else "scram-sha-256")
            if not self._binds:
                return False
            self._scram = ScramPlus(self._host.password, self._certificate(mechanisms))
            first = self._scram.first()
            self._send(b"SCRAM-SHA-256-PLUS\0" + struct.pack("!i", len(first)) + first)
            return True
        if self._scram is not None and method == _SASL_CONTINUE:
            self._send(self._scram.final(body))
            return True
        if self._scram is not None and method == _SASL_FINAL:
            self._scram.check(body)
            self._bound = True
            return True
        if method in _METHODS:
            self._check_method(_METHODS[method])
            if self._binds:
                raise self._unbound()
        return False

    def _check_method(self, method: str) -> None:
        self._asked = True
        if self._methods:
            is_negative = self._methods[0].startswith("!")
            if (f"!{method}" in self._methods) if is_negative else (method not in self._methods):
                raise LoginRefusedError(f"require_auth: the server asks for {method}, which the URL rules out")

    def _check_end(self) -> None:
        if not self._asked:
            self._check_method("none")
        if self._binds and not self._bound:
            raise self._unbound()

    def _unbound(self) -> LoginRefusedError:
        return LoginRefusedError("channel_binding=require: the server does not log in with channel binding")

    def _certificate(self, mechanisms: list[str]) -> bytes:
        secured = self._transport.get_extra_info("ssl_object")
        certificate = secured.getpeercert(binary_form=True) if secured is not None else None
        if certificate is None or "SCRAM-SHA-256-PLUS" not in mechanisms:
            raise self._unbound()
        return cast(bytes, certificate)

    def _send(self, body: bytes) -> None:
        self._transport.write(b"p" + struct.pack("!i", 4 + len(body)) + body)


def in_order(parameters: ConnectionParameters) -> list[PostgresHost]:
    """The hosts in the order in which to try them."""
    hosts = list(parameters.hosts)
    if parameters.get("load_balance_hosts") == "random":
        random.shuffle(hosts)
    return hosts
