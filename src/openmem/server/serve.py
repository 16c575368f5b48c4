"""The running server: a listening socket, the application, signals, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from fastapi import FastAPI

from .config import OmpServerConfig
from .protocol import BoundedProtocol

BACKLOG = 2048
CANCELLED_GRACE = 2.0


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
                http=type("Protocol", (BoundedProtocol,), limits),
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
        self._listener = listener
        self._announce = announce
        self._is_stopped = False
        self._task: asyncio.Task[None] | None = None

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
                    await asyncio.wait(self.server_state.tasks, timeout=CANCELLED_GRACE)
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
        await super().startup(sockets)
        self._announce()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn would raise the signal again at the end, and the exit status would not be 0.
        yield


def serve(app: FastAPI, config: OmpServerConfig, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        OMPError: the backend could not be opened.
    """

    def announce() -> None:
        # What is loaded by now stays. The collector would go through it now and then, for tens of milliseconds.
        gc.collect()
        gc.freeze()
        print(f"omp-server: serving {config.provider} at {url_of(listener)}", file=sys.stderr, flush=True)

    async def run() -> None:
        with _on_signal(server.stop):
            await server.open_and_serve()

    server = OmpServer(app, config, listener, announce)
    with listener, asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(run())


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
