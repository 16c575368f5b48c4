"""Running servers for the tests of this room, in a thread or as a process of their own."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from openmem.server import OmpServerConfig, create_app
from openmem.server.serve import OmpServer, listen, url_of


class Reachable:
    """A server that serves at `url`."""

    url: str

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def client(self, **arguments: Any) -> httpx.Client:
        """A client for it."""
        return httpx.Client(base_url=self.url, timeout=10, trust_env=False, verify=False, **arguments)

    def connect(self) -> socket.socket:
        """A bare connection to it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)


@dataclass
class Running(Reachable):
    """A server in a thread of this process."""

    url: str
    server: OmpServer
    thread: threading.Thread


@contextmanager
def running(config: OmpServerConfig, app: Any = None, port: int = 0) -> Iterator[Running]:
    """A server on loopback; no task of it and no complaint of its event loop may be left at the end."""
    listener = listen("127.0.0.1", port)
    started = threading.Event()
    server = OmpServer(app or create_app(config), config, listener, started.set)
    loops: list[asyncio.AbstractEventLoop] = []
    problems: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loops.append(loop)
        loop.set_exception_handler(lambda _, context: problems.append(str(context)))
        await server.open_and_serve()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        problems.extend(f"left behind: {task}" for task in left)

    def run() -> None:
        with listener:
            try:
                asyncio.run(main())
            finally:
                started.set()

    url = url_of(listener)
    thread = threading.Thread(target=run, name="server")
    thread.start()
    started.wait()
    try:
        yield Running(url, server, thread)
    finally:
        loops[0].call_soon_threadsafe(server.stop)
        thread.join()
    assert not problems, problems


class Process(Reachable):
    """``omp-server`` as a process. Use it in a ``with`` block; `url` is set once it serves.

    Args:
        arguments: of the command.
        max_files: how many files it may have open, if that is limited.
        environment: variables that begin with ``OMP_`` or ``OPENMEM_``; there are no others of these.
    """

    def __init__(self, *arguments: str, max_files: int | None = None, **environment: str) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "OPENMEM_"))}
        limit = [] if max_files is None else ["sh", "-c", f'ulimit -n {max_files}; exec "$@"', "sh"]
        self.process = subprocess.Popen(
            [*limit, sys.executable, "-W", "error", "-m", "openmem.server.cli", *arguments],
            env=clean | {"OPENMEM_EMBEDDER": "hashing"} | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url = ""
        self.first_lines: list[str] = []

    def __enter__(self) -> Process:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.first_lines.append(line.rstrip("\n"))
            if line.startswith("omp-server: serving "):
                self.url = line.split()[-1]
                return self
        self.process.wait()
        raise AssertionError(f"the server did not start: {self.first_lines}")

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def end(self) -> tuple[int, str, str]:
        """Ask it to stop, and return its exit status and the rest of its output."""
        self.process.terminate()
        return self.finish()

    def finish(self) -> tuple[int, str, str]:
        """Its exit status and the rest of its output, once it has ended."""
        output, errors = self.process.communicate(timeout=20)
        return self.process.returncode, output, errors


def envelope(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The error object of a response, which must be the protocol's for this status and code."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body.keys() == {"error"}
    error: dict[str, Any] = body["error"]
    assert error["code"] == code
    assert error["request_id"] == response.headers["x-request-id"]
    assert error["message"]
    assert error["type"]
    return error
