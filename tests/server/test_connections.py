"""More connections than there are descriptors for: those who are connected are answered, and the log stays short."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from openmem.server import OmpServerConfig, accepting
from openmem.server.accepting import MAX_CONNECTIONS, MIN_CONNECTIONS, connections_allowed

from .harness import Process, Running, running

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sockets are counted with files on POSIX only")

FLOOD = 400
QUIET = ("--port", "0", "--log-level", "warning")
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@contextlib.contextmanager
def flood(port: int, number: int = FLOOD, say: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connections that stay open, as many as the machine gives out, and send no more than `say`."""
    wires: list[socket.socket] = []
    with contextlib.ExitStack() as stack:
        for _ in range(number):
            wire = stack.enter_context(socket.socket())
            wire.setblocking(False)
            wire.connect_ex(("127.0.0.1", port))
            wires.append(wire)
        if say:
            time.sleep(0.2)
            for wire in wires:
                with contextlib.suppress(OSError):
                    wire.send(say)
        yield wires


def answers(client: httpx.Client, path: str, seconds: float) -> list[float]:
    """How long each answer took, asked for one after the other on one connection."""
    took: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        assert client.get(path).status_code == 200
        took.append(time.perf_counter() - started)
        time.sleep(0.02)
    return took


@pytest.mark.parametrize("say", [b"", GET[:20], GET], ids=["silent", "half a head", "a request"])
def test_without_descriptors_those_who_are_connected_are_answered(database: str, say: bytes) -> None:
    with Process(*QUIET, OMP_POSTGRES_URL=database, max_files=64) as omp, omp.client() as client:
        port = int(omp.url.rpartition(":")[2])
        assert client.get("/memories?user_id=u").status_code == 200
        with flood(port, say=say):
            took = answers(client, "/memories?user_id=u", 2.5)
        assert max(took) < 2
        with omp.client() as late:
            started = time.perf_counter()
            assert late.get("/memories?user_id=u").status_code == 200
            assert time.perf_counter() - started < 5
        status, _, errors = omp.end()
    assert status == 0
    [line] = errors.splitlines()
    assert "level=WARNING" in line
    assert "connections are taken" in line


def test_a_new_client_gets_its_turn_in_a_flood(database: str) -> None:
    with Process(*QUIET, OMP_POSTGRES_URL=database, max_files=64) as omp:
        port = int(omp.url.rpartition(":")[2])
        with flood(port, 60), omp.client() as late:
            started = time.perf_counter()
            assert late.get("/healthz").status_code == 200
            assert time.perf_counter() - started < 10


def test_descriptors_that_others_take_are_one_line_in_the_log(database: str) -> None:
    with (
        Process(*QUIET, "--max-connections", "10000", OMP_POSTGRES_URL=database, max_files=64) as omp,
        omp.client() as client,
    ):
        port = int(omp.url.rpartition(":")[2])
        assert client.get("/memories?user_id=u").status_code == 200
        with flood(port):
            took = answers(client, "/memories?user_id=u", 2.5)
        assert max(took) < 2
        with omp.client() as late:
            assert late.get("/memories?user_id=u").status_code == 200
        status, _, errors = omp.end()
    assert status == 0
    [line] = errors.splitlines()
    assert "level=WARNING" in line
    assert "no connection can be accepted" in line


@pytest.fixture
def narrow(settings: dict[str, object]) -> Iterator[Running]:
    """A server for three connections at a time."""
    with running(OmpServerConfig(settings=settings, max_connections=3)) as server:
        yield server


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.perf_counter() + seconds
    while not condition():
        assert time.perf_counter() < end, "it did not happen in time"
        time.sleep(0.01)


def is_closed(wire: socket.socket) -> bool:
    return bool(select.select([wire], [], [], 0)[0]) and wire.recv(1, socket.MSG_PEEK) == b""


def test_the_one_that_never_asked_makes_room_before_the_one_that_did(
    narrow: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accepting, "MAX_IDLE_SECONDS", 0.0)
    with contextlib.ExitStack() as stack:
        asked = stack.enter_context(narrow.connect())
        asked.sendall(GET)
        assert asked.recv(65536).startswith(b"HTTP/1.1 200 ")
        silent = [stack.enter_context(narrow.connect()) for _ in range(2)]
        until(lambda: len(narrow.server.server_state.connections) == 3)
        new = stack.enter_context(narrow.connect())
        new.sendall(GET)
        assert new.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert [is_closed(wire) for wire in silent] == [True, False]
        assert not is_closed(asked)


def test_nobody_makes_room_while_nobody_waits(narrow: Running, caplog: pytest.LogCaptureFixture) -> None:
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(narrow.connect()) for _ in range(3)]
        until(lambda: len(narrow.server.server_state.connections) == 3)
        time.sleep(1.5)
        assert not any(is_closed(wire) for wire in wires)
        assert caplog.records == []


def test_connections_that_are_at_work_are_not_closed(narrow: Running) -> None:
    """A request whose body is on its way is work."""
    head = b"POST /memories HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(narrow.connect()) for _ in range(3)]
        for wire in wires:
            wire.sendall(head)
        until(lambda: len(narrow.server.server_state.tasks) == 3)
        new = stack.enter_context(narrow.connect())
        new.sendall(GET)
        time.sleep(1.5)
        assert not any(is_closed(wire) for wire in (*wires, new))
        wires[0].sendall(b"{}")
        assert wires[0].recv(65536).startswith(b"HTTP/1.1 400 ")
        wires[0].close()
        assert new.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_how_many_connections_are_allowed() -> None:
    few, many = connections_allowed(100_000), connections_allowed(1)
    assert few == MIN_CONNECTIONS <= many <= MAX_CONNECTIONS


def test_who_has_asked_before_the_end_is_answered(settings: dict[str, object]) -> None:
    with contextlib.ExitStack() as stack:
        with running(OmpServerConfig(settings=settings)) as server:
            assert server.server._task is not None
            server.server._task.get_loop().call_soon_threadsafe(time.sleep, 0.5)
            wires = [stack.enter_context(server.connect()) for _ in range(20)]
            for wire in wires:
                wire.sendall(GET)
        assert [wire.recv(12) for wire in wires] == [b"HTTP/1.1 200"] * 20


def test_the_end_does_not_wait_for_those_who_wait(settings: dict[str, object]) -> None:
    started = time.perf_counter()
    with running(OmpServerConfig(settings=settings, max_connections=1)) as server, flood(server.port, 20):
        until(lambda: len(server.server.server_state.connections) == 1)
        started = time.perf_counter()
    assert time.perf_counter() - started < 3
    assert threading.active_count() < 50
