"""Taking in connections: as many as there are descriptors for, one at a time, and the silent make room for others."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import heapq
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Collection
from typing import Final, Protocol

if sys.platform != "win32":  # there, sockets are not counted with files
    import resource

MAX_CONNECTIONS: Final = 8192
MIN_CONNECTIONS: Final = 4
MAX_DESCRIPTORS: Final = 65_536
RESERVED_DESCRIPTORS: Final = 16
"""Descriptors kept free for files and for connections that are neither a client's nor the pool's."""

MAX_IDLE_SECONDS: Final = 1.0
"""Seconds a connection may wait for a request while others wait to be accepted."""
ROOM_CHECK_INTERVAL_SECONDS: Final = 0.05
"""Seconds between two looks whether there is room."""
LOG_INTERVAL_SECONDS: Final = 60.0
"""Seconds between two lines in the log about the same trouble."""
MAX_CLOSED_AT_ONCE: Final = 16

_OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

logger = logging.getLogger("openmem.server")


class Connection(Protocol):
    """What is known of a connection to decide whether it makes room for another.

    Attributes:
        waits_since: when, on the clock of the event loop, it began to wait for a request; None while one is
            worked on, and once it is being closed.
        has_asked: whether there was a request on it before.
    """

    waits_since: float | None
    has_asked: bool

    def close(self) -> None:
        """Close it, once what was written is sent."""


class Acceptor:
    """Accepts the connections to one listening socket.

    asyncio's own server, out of descriptors, tries as often in a row as its backlog is long, and each try is
    a line in the log.

    Args:
        listener: listens, and does not block.
        make_protocol: makes the protocol of a new connection.
        connections: those that are open.
        limit: how many may be open at a time.
    """

    def __init__(
        self,
        listener: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
        connections: Collection[Connection],
        limit: int,
    ) -> None:
        self._listener = listener
        self._make_protocol = make_protocol
        self._connections = connections
        self._limit = limit
        self._connecting = asyncio.Lock()
        self._is_stopping = False
        self._warned_at: dict[str, float] = {}

    async def run(self) -> None:
        """Accept connections until `stop`."""
        loop = asyncio.get_running_loop()
        while not self._is_stopping:
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except OSError as error:
                if error.errno in _OUT_OF_RESOURCES:
                    self._warn(f"no connection can be accepted: {error.strerror}; allow more open files (ulimit -n)")
                    await self._make_room()
                # Anything else went wrong with the one connection that was to be accepted.
                continue
            try:
                await self._wait_for_room()
            except BaseException:
                connection.close()
                raise
            await self._connect(connection)

    async def stop(self, running: asyncio.Task[None]) -> None:
        """End `run`, which is `running`. Clients whose connections the kernel has taken already are still served."""
        self._is_stopping = True
        with contextlib.suppress(NotImplementedError):
            # Cancelled in the turn of the loop in which it accepts one, `sock_accept` would lose that connection.
            asyncio.get_running_loop().remove_reader(self._listener)
        for _ in range(3):
            await asyncio.sleep(0)
        async with self._connecting:
            running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        with contextlib.suppress(OSError):
            while len(self._connections) < self._limit:
                connection, _ = self._listener.accept()
                connection.setblocking(False)
                await self._connect(connection)

    async def _connect(self, connection: socket.socket) -> None:
        """Serve a connection. It takes a turn of the loop, in which those who are connected are answered."""
        async with self._connecting:
            try:
                await asyncio.get_running_loop().connect_accepted_socket(self._make_protocol, connection)
            except OSError:
                connection.close()

    async def _wait_for_room(self) -> None:
        while len(self._connections) >= self._limit:
            self._warn(
                f"all {self._limit} connections are taken; new ones wait, and idle ones make room for them. The limit "
                "follows from --max-connections and from how many open files are allowed (ulimit -n)"
            )
            await self._make_room()

    async def _make_room(self) -> None:
        """Close some that have waited for longest; those that have never asked for anything come first."""
        now = asyncio.get_running_loop().time()
        waiting = [
            (connection.has_asked, connection.waits_since, number, connection)
            for number, connection in enumerate(self._connections)
            if connection.waits_since is not None and now - connection.waits_since >= MAX_IDLE_SECONDS
        ]
        for *_, connection in heapq.nsmallest(max(1, min(MAX_CLOSED_AT_ONCE, self._limit // 4)), waiting):
            connection.close()
        await asyncio.sleep(ROOM_CHECK_INTERVAL_SECONDS)

    def _warn(self, trouble: str) -> None:
        now = time.monotonic()
        if now - self._warned_at.get(trouble, -LOG_INTERVAL_SECONDS) >= LOG_INTERVAL_SECONDS:
            self._warned_at[trouble] = now
            logger.warning("%s", trouble)


def raise_descriptor_limit() -> None:
    """Allow this process as many open files as it may allow itself, up to `MAX_DESCRIPTORS`."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # macOS reports no limit and still has one.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connections_allowed(pool_size: int) -> int:
    """How many clients may be connected so that enough descriptors are left for everything else.

    Args:
        pool_size: connections to the backend at most; each may need another one to cancel what it does.
    """
    if sys.platform == "win32":
        return MAX_CONNECTIONS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(
        MIN_CONNECTIONS, min(MAX_CONNECTIONS, soft - _descriptors_in_use() - 2 * pool_size - RESERVED_DESCRIPTORS)
    )


def _descriptors_in_use() -> int:
    try:
        return len(os.listdir("/dev/fd"))
    except OSError:
        return 32
