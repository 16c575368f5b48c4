"""Connections of httpcore whose reads and writes keep within the deadline of the request they serve.

httpcore hands a stream no more than a time limit for each read and write. So the request on its way is in a context
variable, `current_exchange`, which the streams read.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import httpcore

PATIENCE_FACTOR: Final = 2.0
"""How much slower than before a server may be until the same is done."""
LONGEST_WAIT_SECONDS: Final = 86_400.0
UNACKNOWLEDGED_MILLISECONDS: Final = 4500
"""How long the kernel waits for the other end to acknowledge what was sent."""
_PIECE_BYTES: Final = 16 * 1024


@dataclass(slots=True)
class Exchange:
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


current_exchange: ContextVar[Exchange] = ContextVar("openmem_http_exchange")


class _SilentConnectionError(httpcore.ReadError):
    """A connection that was used before brought no reply."""


class Trust:
    """Which idle connections of a pool may be used again, and how soon they should bring a reply.

    Args:
        first_byte_timeout: seconds in which a reply should begin, while nothing is known of the server.
    """

    def __init__(self, first_byte_timeout: float) -> None:
        self._first_byte_timeout = first_byte_timeout
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
        return max(self._first_byte_timeout, PATIENCE_FACTOR * self._slowest)

    def learn(self, first_byte_seconds: float) -> None:
        """A reply began after some time; the slowest count, and are forgotten little by little."""
        self._slowest = max(self._slowest * 0.9, first_byte_seconds)


class _Line:
    """What is known of one connection, beside its stream."""

    def __init__(self, trust: Trust) -> None:
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
        exchange = current_exchange.get()
        if not self._sends:
            if not self._is_new and not (exchange.may_repeat and self._trust.covers(self._last_used)):
                # httpcore then takes another connection, or makes one. It has no hook for that.
                raise httpcore.ConnectionNotAvailable
            self._is_suspicious = not self._is_new
            self._sends, self._is_new = True, False
        return exchange.remaining()

    def before_read(self) -> float:
        """Seconds to wait for the next bytes."""
        if self._sends:
            self._sends, self._asked_at = False, time.monotonic()
        remaining = current_exchange.get().remaining()
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
            current_exchange.get().is_broken = True
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
    def __init__(self, stream: httpcore.AsyncNetworkStream, trust: Trust) -> None:
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
    def __init__(self, stream: httpcore.NetworkStream, trust: Trust) -> None:
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
        wait = (
            current_exchange.get().remaining() if timeout is None else min(timeout, current_exchange.get().remaining())
        )
        return _BlockingStream(self._stream.start_tls(ssl_context, server_hostname, wait), self._trust)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class AsyncNetwork(httpcore.AsyncNetworkBackend):
    def __init__(self, trust: Trust) -> None:
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


class BlockingNetwork(httpcore.NetworkBackend):
    def __init__(self, trust: Trust) -> None:
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
        deadline = time.monotonic() + min(timeout or LONGEST_WAIT_SECONDS, current_exchange.get().remaining())
        with _connecting():
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
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


def _socket_options() -> list[httpcore.SOCKET_OPTION]:
    """Let the system find out within seconds that the other end of a connection is gone."""
    options: list[httpcore.SOCKET_OPTION] = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, value in (
        ("TCP_KEEPIDLE", 5),
        ("TCP_KEEPINTVL", 2),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", UNACKNOWLEDGED_MILLISECONDS),
    ):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options


SOCKET_OPTIONS: Final = _socket_options()
