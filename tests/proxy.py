"""A TCP proxy that makes the network between a client and its server fail."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

R = TypeVar("R")


class Proxy:
    """Forwards connections to a port on loopback until told to fail.

    It runs on a thread and an event loop of its own, so that it also serves blocking tests. Its
    methods may be called from any thread and have taken effect when they return.

    Args:
        target: the server's port.
        host: the address that clients connect to.

    Attributes:
        port: where clients connect.
        requests: pieces of data that came from clients.
        accepted: how many connections clients have made so far.
    """

    def __init__(self, target: int, host: str = "127.0.0.1") -> None:
        self._host = host
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._delay = 0.0
        self._generation = 0
        self._listener: asyncio.Server | None = None
        self._handlers: set[asyncio.Task[None]] = set()
        self._wires: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.requests = 0
        self.accepted = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self.accept()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def connections(self) -> int:
        """Connections that clients have open."""
        return self._in_loop(lambda: len(self._handlers))

    def freeze(self) -> None:
        """Let no byte through either way, not even the end of a connection; sockets stay open."""
        self._in_loop(self._flowing.clear)

    def thaw(self) -> None:
        """Deliver what was held back, and go on."""
        self._in_loop(self._flowing.set)

    def forget(self) -> None:
        """Drop what comes on the connections that are open, and tell neither end; new ones work."""
        self._in_loop(self._next_generation)

    def delay(self, seconds: float) -> None:
        """Hold every piece of data back for this long, each way."""
        self._delay = seconds

    def cut(self) -> None:
        """Reset all connections."""
        self._in_loop(self._reset)

    def refuse(self) -> None:
        """Refuse new connections, as a host does where nothing listens. Those open stay."""
        asyncio.run_coroutine_threadsafe(self._unlisten(), self._loop).result()

    def accept(self) -> None:
        """Accept new connections again, on the same port."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def _next_generation(self) -> None:
        self._generation += 1

    def _in_loop(self, function: Callable[[], R]) -> R:
        async def call() -> R:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result()

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accepted, self._host, self.port, backlog=256)
            self.port = self._listener.sockets[0].getsockname()[1]

    async def _unlisten(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _stop(self) -> None:
        await self._unlisten()
        await settled()  # what was just accepted has its handler
        self._flowing.set()
        self._reset()
        handlers = list(self._handlers)
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
        await settled()

    def _reset(self) -> None:
        for writer in self._wires:
            wire: socket.socket = writer.get_extra_info("socket")
            if wire.fileno() >= 0:
                wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        handler = self._loop.create_task(self._handle(reader, writer))
        self._handlers.add(handler)
        handler.add_done_callback(self._handlers.discard)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._wires.add(writer)
        upstream: asyncio.StreamWriter | None = None
        try:
            await self._flowing.wait()
            answers, upstream = await asyncio.open_connection("127.0.0.1", self._target)
            self._wires.add(upstream)
            await asyncio.gather(
                self._pump(reader, upstream, is_client=True), self._pump(answers, writer, is_client=False)
            )
        except OSError:
            await self._flowing.wait()
        finally:
            for end in (writer, upstream):
                if end is not None:
                    end.close()
                    self._wires.discard(end)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_client: bool) -> None:
        generation = self._generation
        while data := await reader.read(65536):
            self.requests += is_client
            if generation != self._generation:
                continue
            if self._delay:
                await asyncio.sleep(self._delay)
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()
        await self._flowing.wait()
        if generation == self._generation:
            with contextlib.suppress(OSError):
                writer.write_eof()


async def settled() -> None:
    """Return when connections that are being accepted or closed are so; either takes a few turns of the loop."""
    for _ in range(5):
        await asyncio.sleep(0)
