"""A server in front of PostgreSQL with what the embedded one lacks: TLS, and logins bound to its certificate."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import re
import secrets
import ssl
import struct
import threading
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import trustme

from ..proxy import settled

SSL_REQUEST = 80877103
CANCEL_REQUEST = 80877102
PLUS = "SCRAM-SHA-256-PLUS"
PLAIN = "SCRAM-SHA-256"


class Identity(NamedTuple):
    """What a server shows.

    Attributes:
        certificate: the one of `context`, in DER; its signature is with SHA-256.
    """

    context: ssl.SSLContext
    certificate: bytes


class Authority:
    """A certificate authority, and files with what it signed.

    Attributes:
        root: a file with its certificate.
        garbage: a file that is no certificate.
    """

    def __init__(self, home: Path) -> None:
        self._authority = trustme.CA()
        self._home = home
        self.root = home / "root.pem"
        self._authority.cert_pem.write_to_path(self.root)
        self.garbage = home / "garbage.pem"
        self.garbage.write_text("nothing")

    def server(self, *names: str) -> Identity:
        """What a server of these names shows; it takes certificates of clients from this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued = self._authority.issue_cert(*names)
        issued.configure_cert(context)
        self._authority.configure_trust(context)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.set_alpn_protocols(["postgresql"])
        return Identity(context, ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode()))

    def client(self, name: str) -> tuple[Path, Path]:
        """Files with a client's certificate and key."""
        issued = self._authority.issue_cert(name)
        certificate, key = self._home / f"{name}.pem", self._home / f"{name}.key"
        issued.cert_chain_pems[0].write_to_path(certificate)
        issued.private_key_pem.write_to_path(key)
        key.chmod(0o600)
        return certificate, key


class Front:
    """Listens on loopback, and hands on to a PostgreSQL that asks for no password.

    Args:
        target: the port of PostgreSQL.
        identity: what it shows in TLS; None for a server without TLS.
        direct: whether TLS begins at once.
        refuses_plain: whether a client without TLS is turned away.
        password: what a client must know; None if anybody is let in.
        mechanisms: how it may be proved.

    Attributes:
        port: where it listens.
        seen: ``plain``, ``tls`` or ``direct`` for each login.
        startups: the parameters of each login.
        mechanisms_used: how clients logged in.
        cancelled: how many requests to cancel came, by ``plain``, ``tls`` or ``direct``.
        names: the names that TLS clients asked for.
        certificates: whether each login showed a certificate.
    """

    def __init__(
        self,
        target: int,
        identity: Identity | None,
        *,
        direct: bool = False,
        refuses_plain: bool = False,
        password: str | None = None,
        mechanisms: tuple[str, ...] = (PLUS, PLAIN),
    ) -> None:
        self._target = target
        self._context = identity.context if identity else None
        self._certificate = identity.certificate if identity else b""
        self._direct = direct
        self._refuses_plain = refuses_plain
        self._password = password
        self._mechanisms = mechanisms
        self.port = 0
        self.seen: list[str] = []
        self.startups: list[dict[str, str]] = []
        self.mechanisms_used: list[str] = []
        self.cancelled: list[str] = []
        self.names: list[str | None] = []
        self.certificates: list[bool] = []
        if identity is not None:
            identity.context.sni_callback = lambda _, name, __: self.names.append(name)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="front")
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> None:
        context = self._context if self._direct else None
        self._listener = await asyncio.start_server(self._accepted, "127.0.0.1", 0, ssl=context)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        assert self._listener is not None
        self._listener.close()
        await settled()  # what was just accepted has its task
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await settled()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._handle(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._serve(reader, writer, ends)
        finally:
            for end in ends:
                end.close()
                end.transport.abort()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: list[asyncio.StreamWriter]
    ) -> None:
        how = "direct" if self._direct else "plain"
        while True:
            head = await reader.readexactly(8)
            length, code = struct.unpack("!ii", head)
            if code != SSL_REQUEST:
                break
            writer.write(b"N" if self._context is None else b"S")
            if self._context is not None:
                await writer.start_tls(self._context)
                how = "tls"
        startup = head + await reader.readexactly(length - 8)
        if code == CANCEL_REQUEST:
            self.cancelled.append(how)
        else:
            self.seen.append(how)
            secured = writer.get_extra_info("ssl_object")
            self.certificates.append(secured is not None and bool(secured.getpeercert()))
            parts = startup[8:].rstrip(b"\0").decode().split("\0")
            self.startups.append(dict(zip(parts[::2], parts[1::2], strict=True)))
            if how == "plain" and self._refuses_plain:
                writer.write(_error("28000", "no pg_hba.conf entry, no encryption"))
                await writer.drain()
                return
            if self._password is not None and not await self._log_in(reader, writer, self._password):
                writer.write(_error("28P01", "password authentication failed"))
                await writer.drain()
                return
        answers, upstream = await asyncio.open_connection("127.0.0.1", self._target)
        ends.append(upstream)
        upstream.write(startup if code == CANCEL_REQUEST else _without_routing(startup))
        await asyncio.gather(_pump(reader, upstream), _pump(answers, writer))

    async def _log_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, password: str) -> bool:
        secured = writer.get_extra_info("ssl_object")
        offered = [name for name in self._mechanisms if secured is not None or name != PLUS]
        writer.write(_request(10, b"".join(name.encode() + b"\0" for name in offered) + b"\0"))
        chosen, _, rest = (await _answer(reader)).partition(b"\0")
        mechanism, first = chosen.decode(), rest[4:].decode()
        header, bare = first[: first.index(",n=") + 1], first[first.index(",n=") + 1 :]
        salt, nonce = secrets.token_bytes(16), bare.rpartition("r=")[2] + secrets.token_hex(9)
        server_first = f"r={nonce},s={base64.b64encode(salt).decode()},i=4096"
        writer.write(_request(11, server_first.encode()))
        final, _, proof = (await _answer(reader)).decode().rpartition(",p=")
        binding = hashlib.sha256(self._certificate).digest() if mechanism == PLUS else b""
        expected = f"c={base64.b64encode(header.encode() + binding).decode()},r={nonce}"
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 4096)
        signed = f"{bare},{server_first},{final}".encode()
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        right = bytes(left ^ right for left, right in zip(client_key, signature, strict=True))
        if mechanism not in offered or final != expected or base64.b64decode(proof) != right:
            return False
        self.mechanisms_used.append(mechanism)
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        verifier = base64.b64encode(hmac.digest(server_key, signed, "sha256"))
        writer.write(_request(12, b"v=" + verifier))
        return True


def _without_routing(startup: bytes) -> bytes:
    """A start without those `options` that are for a vendor's proxy, as in ``endpoint=…``."""
    body = re.sub(rb"options\0[^-\0][^\0]*\0", b"", startup[4:])
    return struct.pack("!i", 4 + len(body)) + body


async def _answer(reader: asyncio.StreamReader) -> bytes:
    kind, length = struct.unpack("!ci", await reader.readexactly(5))
    assert kind == b"p"
    return await reader.readexactly(length - 4)


def _request(method: int, body: bytes) -> bytes:
    return b"R" + struct.pack("!ii", 8 + len(body), method) + body


def _error(sqlstate: str, message: str) -> bytes:
    body = f"SFATAL\0VFATAL\0C{sqlstate}\0M{message}\0\0".encode()
    return b"E" + struct.pack("!i", 4 + len(body)) + body


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
    else:
        writer.close()
