"""An HTTP service on loopback that does what a test wants: the base of the stand-ins for vendors' services."""

from __future__ import annotations

import json
import socket
import sys
import threading
import traceback
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Generic, Self, TypeAlias, TypeVar

R = TypeVar("R")


@dataclass(frozen=True)
class Reply:
    """An answer.

    Attributes:
        body: JSON, or bytes that are sent as they are.
        cut: the connection is closed after this many bytes of the body, or before any reply if negative.
        hangs_up: the connection is closed after the reply, without saying so.
    """

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    hangs_up: bool = False


Step: TypeAlias = Reply | Callable[[R], Reply]


class RefusedError(Exception):
    """The answer to a request that is wrong."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status, body)
        self.reply = Reply(status, body)


class ScriptedService(ABC, Generic[R]):
    """A service; `script` holds its next answers, after which it answers by itself.

    Attributes:
        url: where it listens.
        script: replies, and functions from a request to a reply.
        requests: all requests so far.
        connections: how many connections clients have made.
        stuck: counts the requests that `hang`.
        release: lets them go.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle = threading.Condition()
        self._running = 0
        self.release = threading.Event()
        self._bugs: list[str] = []
        self._server = _server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.reset()

    def reset(self) -> None:
        """Forget everything, and first let go and end what an earlier test left hanging, which would write after it."""
        self.release.set()
        with self._idle:
            assert self._idle.wait_for(lambda: self._running == 0, 30)
        self.script: deque[Step[R]] = deque()
        self.requests: list[R] = []
        self.connections = 0
        self.stuck = threading.Semaphore(0)
        self.release = threading.Event()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        assert not self._bugs, self._bugs[0]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    @abstractmethod
    def read(self, method: str, target: str, headers: Mapping[str, str], body: Any) -> R:
        """The request as the script and the tests see it.

        Args:
            target: path and query, as sent.
            headers: their names are in lower case.
            body: from JSON; None if there was none.
        """

    @abstractmethod
    def perform(self, request: R) -> Reply:
        """The answer of a service in good order."""

    def answer(self, request: R) -> Reply:
        with self._idle:
            self._running += 1
        try:
            with self._lock:
                self.requests.append(request)
                step = self.script.popleft() if self.script else self.perform
            return step if isinstance(step, Reply) else step(request)
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    def hang(self, request: R) -> Reply:
        """A script step: do what is asked when the test lets go."""
        release = self.release
        self.stuck.release()
        release.wait(30)
        return self.perform(request)

    def cut_off(self, request: R, after: int = -1) -> Reply:
        """A script step: do what is asked and lose the connection before the reply, or within it."""
        return replace(self.perform(request), cut=after)


def _server(service: ScriptedService[R]) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            service.connections += 1

        def do_GET(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = json.loads(content) if content else None
            self._send(service.answer(service.read(self.command, self.path, headers, body)))

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

        def _send(self, reply: Reply) -> None:
            data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            if reply.cut is None or reply.cut >= 0:
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                if reply.status != 204:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if reply.status != 204:
                    self.wfile.write(data[: reply.cut])
                self.wfile.flush()
            if reply.cut is not None or reply.hangs_up:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: object) -> None:
            if not isinstance(sys.exception(), OSError):  # a client that hung up is part of some tests
                service._bugs.append(traceback.format_exc())

    return Server(("127.0.0.1", 0), Handler)
