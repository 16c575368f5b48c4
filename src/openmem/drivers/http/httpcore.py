"""HTTP in both modes: connections of httpcore, with the bounds that a client needs of a server it cannot trust.

A request has a deadline for all of it, its reply a bound in bytes, compressed or not. Connections are kept
alive, but only as long as they can be trusted: networks forget idle ones without a word to either end. Nothing
is kept from one request to the next: no cookies, no redirects, no credentials from files. The URL, which holds
user ids and queries, reaches no log.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode, urlsplit

import httpcore
import httpx

from ..._forking import undisturbed
from ..._network import proxy_for
from ..._quiet import quiet
from ...errors import InvalidRequestError, ProviderError, unavailable
from ...ports.errors import ConnectionFailedError
from ...ports.http import HttpRequest, HttpResponse, HttpSettings

KEEP_ALIVE_SECONDS: Final = 30.0
FIRST_BYTE_SECONDS: Final = 4.5
"""How long a connection that was used before is waited for until the request is sent again on a new one."""
PATIENCE: Final = 2.0
"""How much slower than before a server may be until the same is done."""
LONGEST_WAIT_SECONDS: Final = 86_400.0


@dataclass(slots=True)
class _Exchange:
    """A request on its way.

    Attributes:
        deadline: when its reply must be complete.
        may_repeat: whether it can be sent again.
        is_broken: whether the server ended the connection meanwhile.
    """

    deadline: float
    may_repeat: bool
    is_broken: bool = False

    def remaining(self) -> float:
        """Seconds left.

        Raises:
            httpcore.ReadTimeout: none are.
        """
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise httpcore.ReadTimeout("the time of the request is over")
        return min(remaining, LONGEST_WAIT_SECONDS)


_current: ContextVar[_Exchange] = ContextVar("openmem_http_exchange")


class _SilentConnectionError(httpcore.ReadError):
    """A connection that was used before brought no reply."""


class _Trust:
    """Which idle connections of a pool may be used again, and how soon they should bring a reply."""

    def __init__(self) -> None:
        self._begin = -1.0
        self._slowest = 0.0

    def lose(self) -> None:
        """Do not use those again that are idle now."""
        self._begin = time.monotonic()

    def covers(self, last_used: float) -> bool:
        """Whether a connection that was used at this time may be used again."""
        return last_used > self._begin

    @property
    def first_byte_seconds(self) -> float:
        """How long to wait for a reply to begin. A server that is slow is not asked twice for that."""
        return max(FIRST_BYTE_SECONDS, PATIENCE * self._slowest)

    def learn(self, first_byte_seconds: float) -> None:
        """A reply began after some time; the slowest count, and are forgotten little by little."""
        self._slowest = max(self._slowest * 0.9, first_byte_seconds)


class _Line:
    """What is known of one connection, beside its stream."""

    def __init__(self, trust: _Trust) -> None:
        self._trust = trust
        self._last_used = time.monotonic()
        self._is_new = True
        self._sends = False
        self._is_suspicious = False
        self._asked_at: float | None = None

    def before_write(self) -> float:
        """Seconds that sending may take.

        Raises:
            httpcore.ConnectionNotAvailable: another connection must be used, and nothing was sent on this one.
        """
        exchange = _current.get()
        if not self._sends:
            if not self._is_new and not (exchange.may_repeat and self._trust.covers(self._last_used)):
                raise httpcore.ConnectionNotAvailable
            self._is_suspicious = not self._is_new
            self._sends, self._is_new = True, False
        return exchange.remaining()

    def before_read(self) -> float:
        """Seconds to wait for the next bytes."""
        if self._sends:
            self._sends, self._asked_at = False, time.monotonic()
        remaining = _current.get().remaining()
        # Where little time is left, nothing would be won: a second request needs as much as the first.
        first_byte = self._trust.first_byte_seconds
        self._is_suspicious = self._is_suspicious and remaining >= 2 * first_byte
        return first_byte if self._is_suspicious else remaining

    def after_read(self, data: bytes) -> bytes:
        """`data`, which was read."""
        self._last_used = time.monotonic()
        self._is_suspicious = False
        if self._asked_at is not None:
            self._trust.learn(self._last_used - self._asked_at)
            self._asked_at = None
        if not data:
            _current.get().is_broken = True
        return data

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Around a read."""
        try:
            yield
        except httpcore.ReadTimeout as error:
            if self._is_suspicious:
                raise _SilentConnectionError("no reply on a connection that was used before") from error
            raise
        except ssl.SSLError as error:
            raise httpcore.ReadError(str(error)) from error


class _AsyncStream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream, trust: _Trust) -> None:
        self._stream = stream
        self._trust = trust
        self._line = _Line(trust)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        wait = self._line.before_read()
        with self._line.reading():
            return self._line.after_read(await self._stream.read(max_bytes, wait))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, self._line.before_write())

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _AsyncStream(await self._stream.start_tls(ssl_context, server_hostname, timeout), self._trust)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _BlockingStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, trust: _Trust) -> None:
        self._stream = stream
        self._trust = trust
        self._line = _Line(trust)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        wait = self._line.before_read()
        with self._line.reading():
            return self._line.after_read(self._stream.read(max_bytes, wait))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # In pieces, so that a server that takes a few bytes at a time does not set the clock back.
        for start in range(0, len(buffer), _PIECE_BYTES):
            self._stream.write(buffer[start : start + _PIECE_BYTES], self._line.before_write())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        wait = _current.get().remaining() if timeout is None else min(timeout, _current.get().remaining())
        return _BlockingStream(self._stream.start_tls(ssl_context, server_hostname, wait), self._trust)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


_PIECE_BYTES: Final = 16 * 1024


class _AsyncNetwork(httpcore.AsyncNetworkBackend):
    def __init__(self, trust: _Trust) -> None:
        self._backend = httpcore.AnyIOBackend()
        self._trust = trust

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        with _connecting():
            stream = await self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        return _AsyncStream(stream, self._trust)

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


class _BlockingNetwork(httpcore.NetworkBackend):
    def __init__(self, trust: _Trust) -> None:
        self._backend = httpcore.SyncBackend()
        self._trust = trust

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """One address of the host after the other, all within `timeout`, and each with its part of it."""
        options = list(socket_options or ())
        deadline = time.monotonic() + min(timeout or LONGEST_WAIT_SECONDS, _current.get().remaining())
        with _connecting():
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(place[4][0]) for place in found))
            for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
                wait = max(0.001, (deadline - time.monotonic()) / left)
                try:
                    stream = self._backend.connect_tcp(address, port, wait, local_address, options)
                except (httpcore.ConnectError, httpcore.ConnectTimeout):
                    if left == 1:
                        raise
                else:
                    return _BlockingStream(stream, self._trust)
        raise httpcore.ConnectError("the host has no address")

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


@contextmanager
def _connecting() -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(str(error)) from error


class HttpcoreIO:
    """The `HttpIO` port on ``httpcore.AsyncConnectionPool``."""

    def __init__(self, settings: HttpSettings) -> None:
        self._target = _Target(settings)
        self._trust = _Trust()
        backend = _AsyncNetwork(self._trust)
        proxy = self._target.proxy
        self._pool: httpcore.AsyncConnectionPool
        if proxy is None:
            self._pool = httpcore.AsyncConnectionPool(network_backend=backend, **self._target.pool)
        else:
            self._pool = httpcore.AsyncHTTPProxy(network_backend=backend, **proxy, **self._target.pool)

    async def send(self, request: HttpRequest) -> HttpResponse:
        exchange = self._target.begin(request)
        token = _current.set(exchange)
        try:
            with self._target.translated(exchange, self._trust), quiet():
                async with asyncio.timeout(exchange.remaining()):
                    arguments = self._target.arguments(request, exchange)
                    async with self._pool.stream(**arguments) as response:
                        body = Body(response.headers, request.max_reply_bytes)
                        async for chunk in response.aiter_stream():
                            body.feed(chunk)
                        return HttpResponse(response.status, body.headers, body.finish())
        finally:
            _current.reset(token)

    async def close(self) -> None:
        with quiet():
            await self._pool.aclose()


class BlockingHttpcoreIO:
    """The `HttpIO` port on ``httpcore.ConnectionPool``; it blocks and never suspends, see `openmem.ports`."""

    def __init__(self, settings: HttpSettings) -> None:
        self._target = _Target(settings)
        self._trust = _Trust()
        backend = _BlockingNetwork(self._trust)
        proxy = self._target.proxy
        self._pool: httpcore.ConnectionPool
        if proxy is None:
            self._pool = httpcore.ConnectionPool(network_backend=backend, **self._target.pool)
        else:
            self._pool = httpcore.HTTPProxy(network_backend=backend, **proxy, **self._target.pool)

    async def send(self, request: HttpRequest) -> HttpResponse:
        exchange = self._target.begin(request)
        token = _current.set(exchange)
        try:
            with self._target.translated(exchange, self._trust), quiet():
                arguments = self._target.arguments(request, exchange)
                with self._pool.stream(**arguments) as response:
                    body = Body(response.headers, request.max_reply_bytes)
                    for chunk in response.iter_stream():
                        body.feed(chunk)
                    return HttpResponse(response.status, body.headers, body.finish())
        finally:
            _current.reset(token)

    async def close(self) -> None:
        with quiet():
            self._pool.close()


class _Target:
    """A server: how its requests are made, and what is said when one fails."""

    @undisturbed()
    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        try:
            url = httpx.URL(settings.base_url)
        except httpx.InvalidURL as error:
            raise InvalidRequestError(f"base_url: {error}") from None
        self._scheme, self._host, self._port = url.raw_scheme, url.raw_host, url.port
        self._path = url.raw_path.rstrip(b"/")
        self.proxy = _proxy_arguments(settings.base_url)
        self.pool: dict[str, Any] = {
            "max_connections": settings.max_connections,
            "max_keepalive_connections": settings.max_connections,
            "keepalive_expiry": KEEP_ALIVE_SECONDS,
            "socket_options": SOCKET_OPTIONS,
        }
        if url.scheme == "https":
            # It reads SSL_CERT_FILE and SSL_CERT_DIR.
            self.pool["ssl_context"] = httpx.create_ssl_context()

    def begin(self, request: HttpRequest) -> _Exchange:
        """A request whose time begins now."""
        timeout = self._settings.timeout if request.timeout is None else request.timeout
        return _Exchange(time.monotonic() + min(timeout, LONGEST_WAIT_SECONDS), request.may_repeat)

    def arguments(self, request: HttpRequest, exchange: _Exchange) -> dict[str, Any]:
        """What httpcore is asked for."""
        remaining = exchange.remaining()
        path = self._path + request.path.encode()
        if request.query:
            path += b"?" + urlencode(request.query, quote_via=quote).encode()
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip", **self._settings.headers, **request.headers}
        content = None
        if request.body is not None:
            content = json.dumps(request.body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        timeouts = {"connect": min(self._settings.connect_timeout, remaining), "pool": remaining}
        return {
            "method": request.method,
            "url": httpcore.URL(scheme=self._scheme, host=self._host, port=self._port, target=path),
            "headers": list(headers.items()),
            "content": content,
            "extensions": {"timeout": timeouts},
        }

    @contextmanager
    def translated(self, exchange: _Exchange, trust: _Trust) -> Iterator[None]:
        """Turn the library's exceptions into ours, and learn from them which connections to trust."""
        settings = self._settings
        try:
            yield
        except httpcore.PoolTimeout as error:
            raise unavailable(
                f"all {settings.max_connections} connections were busy for {settings.timeout:g} s; raise pool_max_size"
            ) from error
        except (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.ProxyError) as error:
            by_proxy = "" if self.proxy is None else ", and the proxy that the environment names"
            raise ConnectionFailedError(
                f"{settings.base_url} cannot be reached: {error or 'no connection in time'}; check base_url{by_proxy}, "
                "and that the server runs"
            ) from error
        except (httpcore.TimeoutException, TimeoutError) as error:
            trust.lose()
            raise unavailable(f"{settings.base_url} did not answer completely within {settings.timeout:g} s") from error
        except httpcore.NetworkError as error:
            trust.lose()
            raise ConnectionFailedError(f"the connection to {settings.base_url} broke: {error}") from error
        except httpcore.ProtocolError as error:
            if exchange.is_broken:
                trust.lose()
                raise ConnectionFailedError(f"the connection to {settings.base_url} broke: {error}") from error
            raise ProviderError(
                f"{settings.base_url} does not speak HTTP as it should: {str(error)[:200]}; check base_url"
            ) from error
        except ReplyError as error:
            raise ProviderError(f"{settings.base_url} sent {error}") from None


class ReplyError(Exception):
    """A reply that is refused; the text tells what it is."""


class Body:
    """The body of a reply, as it comes in.

    Args:
        headers: of the reply.
        most: bytes it may have, as they are sent and uncompressed.

    Raises:
        ReplyError: it is too long, or compressed in a way that nobody asked for.
    """

    def __init__(self, headers: Iterable[tuple[bytes, bytes]], most: int) -> None:
        self.headers: Mapping[str, str] = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers
        }
        self._most = most
        self._data = bytearray()
        self._received = 0
        coding = self.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("identity", "gzip", "x-gzip", ""):
            raise ReplyError("a reply in a content encoding that was not asked for")
        self._is_compressed = coding not in ("identity", "")
        self._decompressor = _gunzip()
        length = self.headers.get("content-length", "")
        if length.isdecimal() and len(length) < 20 and int(length) > most:
            raise self._too_long()

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""
        self._received += len(chunk)
        if self._received > self._most:
            raise self._too_long()
        if not self._is_compressed:
            self._data += chunk
            return
        while chunk:
            if self._decompressor.eof:
                self._decompressor = _gunzip()
            try:
                self._data += self._decompressor.decompress(chunk, self._most - len(self._data) + 1)
            except zlib.error:
                raise ReplyError("a reply that is not the gzip it says it is") from None
            if len(self._data) > self._most:
                raise self._too_long()
            chunk = self._decompressor.unconsumed_tail or self._decompressor.unused_data

    def finish(self) -> bytes:
        """All of it."""
        if self._is_compressed and self._received and not self._decompressor.eof:
            raise ReplyError("a compressed reply that ends in the middle")
        return bytes(self._data)

    def _too_long(self) -> ReplyError:
        return ReplyError(
            f"a reply of more than {self._most / 2**20:.0f} MiB, which is more than what was asked for can need; "
            "check base_url, or ask for fewer memories at a time"
        )


def _gunzip() -> Any:
    return zlib.decompressobj(zlib.MAX_WBITS | 16)


def _proxy_arguments(url: str) -> dict[str, Any] | None:
    proxy = proxy_for(url)
    if proxy is None:
        return None
    parts = urlsplit(proxy)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidRequestError(
            f"the environment names a {parts.scheme or 'wrong'} proxy for base_url, but only HTTP proxies are "
            "supported; name another in HTTPS_PROXY or HTTP_PROXY, or except the host in NO_PROXY"
        )
    arguments: dict[str, Any] = {"proxy_url": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"}
    if parts.username is not None:
        arguments["proxy_auth"] = (unquote(parts.username), unquote(parts.password or ""))
    if parts.scheme == "https":
        arguments["proxy_ssl_context"] = httpx.create_ssl_context()
    return arguments


def _socket_options() -> list[httpcore.SOCKET_OPTION]:
    """Let the system find out within seconds that the other end of a connection is gone."""
    options: list[httpcore.SOCKET_OPTION] = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, value in (
        ("TCP_KEEPIDLE", 5),
        ("TCP_KEEPINTVL", 2),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", int(FIRST_BYTE_SECONDS * 1000)),
    ):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options


SOCKET_OPTIONS: Final = _socket_options()
