"""The running server: a listening socket, the application, signals, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
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
from .reading import MAX_HEAD_BYTES

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
    """uvicorn, told when to stop by `request_stop` alone."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn would raise the signal again at the end, and the exit status would not be 0.
        yield

    def request_stop(self) -> None:
        """Finish what runs and stop; a second request does not wait for it."""
        self.force_exit = self.should_exit
        self.should_exit = True


def serve(app: FastAPI, config: OmpServerConfig, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT, then finish the running requests and close the backend.

    Raises:
        OMPError: the backend could not be opened.
    """
    protocol = type(
        "Protocol",
        (BoundedProtocol,),
        {"head_timeout": config.head_timeout, "write_timeout": config.read_timeout},
    )
    uvicorn_config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        timeout_graceful_shutdown=max(1, round(config.shutdown_grace)),
    )

    def announce() -> None:
        print(f"omp-server: serving {config.provider} at {url_of(listener)}", file=sys.stderr, flush=True)

    server = OmpServer(uvicorn_config, announce)
    with listener, asyncio.Runner(loop_factory=uvicorn_config.get_loop_factory()) as runner:
        runner.run(_serve(app, server, listener))


async def _serve(app: FastAPI, server: OmpServer, listener: socket.socket) -> None:
    task = asyncio.current_task()
    assert task is not None
    is_stopped = False

    def stop() -> None:
        nonlocal is_stopped
        is_stopped = True
        if server.started:
            server.request_stop()
        else:
            task.cancel()

    with _on_signal(stop):
        try:
            async with app.router.lifespan_context(app):
                await server.serve(sockets=[listener])
                if server.server_state.tasks:
                    await asyncio.wait(server.server_state.tasks, timeout=CANCELLED_GRACE)
        except asyncio.CancelledError:
            if not is_stopped:
                raise


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
