"""The running server: a listening socket, the application, signals, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import re
import signal
import socket
from collections.abc import Callable, Collection, Iterator
from types import FrameType
from typing import Any, cast

import uvicorn
from fastapi import FastAPI

from ..errors import origin
from .accepting import Acceptor, connections_allowed, raise_descriptor_limit
from .config import OmpServerConfig
from .slow_clients import SlowClientProtocol

BACKLOG = 512
CANCELLED_GRACE_SECONDS = 2.0
SETTLE_SECONDS = 0.02

logger = logging.getLogger("openmem.server")


class ListenError(Exception):
    """The address cannot be listened on."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is any free one.

    Raises:
        ListenError: the host is unknown, or the port is taken.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )[0]
        # With the protocol named, unlike in socket.create_server, asyncio sends without Nagle's delay.
        listener = socket.socket(family, kind, proto)
        try:
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
        return listener
    except OSError as error:
        raise ListenError(f"cannot listen on {host}, port {port}: {error.strerror or error}") from error


def url_of(listener: socket.socket) -> str:
    """The URL of a server that listens here."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class OmpServer(uvicorn.Server):
    """An application on a socket, from the opening of its backend to the closing.

    Args:
        app: made by `create_app`.
        config: what `app` was made from.
        listener: where to serve; closed at the end.
        announce: called once, when requests are answered.
    """

    def __init__(
        self, app: FastAPI, config: OmpServerConfig, listener: socket.socket, announce: Callable[[], None]
    ) -> None:
        limits = {"head_timeout": config.head_timeout, "write_timeout": config.read_timeout}
        super().__init__(
            uvicorn.Config(
                app,
                http=type("Protocol", (SlowClientProtocol,), limits),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=max(1, round(config.shutdown_grace)),
            )
        )
        self._app = app
        self._settings = config
        self._listener = listener
        self._announce = announce
        self._is_stopped = False
        self._task: asyncio.Task[None] | None = None
        self._acceptor: Acceptor | None = None
        self._accepting: asyncio.Task[None] | None = None

    async def open_and_serve(self) -> None:
        """Open the backend, answer until `stop`, finish what runs, and close the backend.

        Raises:
            OMPError: the backend could not be opened.
        """
        self._task = asyncio.current_task()
        try:
            async with self._app.router.lifespan_context(self._app):
                await self.serve(sockets=[self._listener])
                if self.server_state.tasks:
                    await asyncio.wait(self.server_state.tasks, timeout=CANCELLED_GRACE_SECONDS)
        except asyncio.CancelledError:
            if not self._is_stopped:
                raise

    def stop(self) -> None:
        """End it; a second call does not wait for running requests. To be called on the server's loop."""
        if self.started:
            self.force_exit = self.should_exit
            self.should_exit = True
        elif self._task is not None and not self._is_stopped:
            self._task.cancel()
        self._is_stopped = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, in place of uvicorn's server for each socket."""
        loop = asyncio.get_running_loop()

        def make_protocol() -> SlowClientProtocol:
            protocol = self.config.http_protocol_class
            assert isinstance(protocol, type)
            assert issubclass(protocol, SlowClientProtocol)
            return protocol(config=self.config, server_state=self.server_state, app_state={}, _loop=loop)

        # The backend is open by now, so that what it needs at rest is counted.
        limit = self._settings.max_connections or connections_allowed(self._settings.pool_size)
        connections = cast(Collection[SlowClientProtocol], self.server_state.connections)
        self.servers = []
        self._acceptor = Acceptor(self._listener, make_protocol, connections, limit)
        self._accepting = loop.create_task(self._acceptor.run())
        self._accepting.add_done_callback(self._on_deaf)
        self.started = True
        self._announce()

    def _on_deaf(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.stop()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        assert self._accepting is not None
        assert self._acceptor is not None
        await self._acceptor.stop(self._accepting)
        self._listener.close()
        # What clients have sent is read; those of whom there is nothing will be disconnected.
        await asyncio.sleep(SETTLE_SECONDS)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn would raise the signal again at the end, and the exit status would not be 0.
        yield


def serve(app: FastAPI, config: OmpServerConfig, listener: socket.socket, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        announce: called once with the server's URL, when requests are answered.

    Raises:
        OMPError: the backend could not be opened.
    """

    def begin() -> None:
        # What is loaded by now stays. The collector would go through it now and then, for tens of milliseconds.
        gc.collect()
        gc.freeze()
        announce(url_of(listener))

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(_log_without_values)
        with _on_signal(server.stop):
            await server.open_and_serve()

    raise_descriptor_limit()
    server = OmpServer(app, config, listener, begin)
    with listener, asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(run())


def _log_without_values(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What asyncio would log, without representations of objects and messages of errors, which hold values."""
    error = context.get("exception")
    what = re.sub(r"(Exception in callback).*", r"\1", context["message"], flags=re.DOTALL)
    logger.error("event loop: %s%s", what, "" if error is None else f": {origin(error)}")


@contextlib.contextmanager
def _on_signal(stop: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop)

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
