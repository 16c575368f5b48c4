"""What the server does not put up with: too much, too often, too slow."""

from __future__ import annotations

import json
import socket
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest

from openmem import RateLimitedError
from openmem.server import OmpServerConfig
from openmem.server.keys import KeysFile
from openmem.server.limits import RateLimit
from openmem.wire import MAX_BODY_BYTES

from .harness import Running, envelope, running

JSON = {"Content-Type": "application/json"}


def body_of(size: int, user: str) -> bytes:
    """A valid body of exactly `size` bytes."""
    empty = json.dumps({"content": "c", "user_id": user, "x-pad": ""}).encode()
    return empty.replace(b'"x-pad": ""', b'"x-pad": "' + b"p" * (size - len(empty)) + b'"')


def pieces(body: bytes) -> Iterator[bytes]:
    """The body in pieces, which makes httpx send it chunked."""
    for start in range(0, len(body), 60_000):
        yield body[start : start + 60_000]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_may_have_a_mebibyte_and_not_a_byte_more(client: httpx.Client, chunked: bool) -> None:
    user = uuid.uuid4().hex

    def post(size: int) -> httpx.Response:
        body = body_of(size, user)
        return client.post("/memories", content=pieces(body) if chunked else body, headers=JSON)

    assert post(MAX_BODY_BYTES).status_code == 201
    envelope(post(MAX_BODY_BYTES + 1), 413, "payload_too_large")
    envelope(post(MAX_BODY_BYTES * 4), 413, "payload_too_large")
    assert len(client.get("/memories", params={"user_id": user}).json()["items"]) == 1


def test_a_body_that_is_announced_too_large_is_refused_before_it_comes(shared: Running) -> None:
    with shared.connect() as wire:
        wire.sendall(
            b"POST /memories HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Expect: 100-continue\r\nContent-Length: 99999999999999999999\r\n\r\n"
        )
        assert wire.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_is_not_json_is_refused_for_its_size_first(client: httpx.Client) -> None:
    response = client.post("/memories", content=b"{" * (MAX_BODY_BYTES + 1), headers={"Content-Type": "text/plain"})
    envelope(response, 413, "payload_too_large")


def test_a_token_bucket() -> None:
    now = 0.0
    limit = RateLimit(60, lambda: now)
    for _ in range(60):
        limit.take("a")
    with pytest.raises(RateLimitedError) as refused:
        limit.take("a")
    assert refused.value.retry_after == pytest.approx(1)
    limit.take("b")
    now = 1.5
    limit.take("a")
    with pytest.raises(RateLimitedError) as refused:
        limit.take("a")
    assert refused.value.retry_after == pytest.approx(0.5)
    now = 1000
    for _ in range(60):
        limit.take("a")
    with pytest.raises(RateLimitedError):
        limit.take("a")


def test_every_key_has_its_own_rate(settings: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> None:
    file = KeysFile(tmp_path_factory.mktemp("keys") / "keys.json")
    busy, calm = ({"X-API-Key": file.create(app=app)} for app in ("busy", "calm"))
    config = OmpServerConfig(settings=settings, keys_file=file.path, rate_limit_per_minute=3)
    with running(config) as server, server.client() as client:
        for _ in range(3):
            assert client.get("/memories?user_id=u", headers=busy).status_code == 200
        refused = client.get("/memories?user_id=u", headers=busy)
        envelope(refused, 429, "rate_limited")
        assert 1 <= int(refused.headers["retry-after"]) <= 20
        assert client.get("/memories?user_id=u", headers=calm).status_code == 200
        capabilities = client.get("/capabilities", headers=busy)
        assert capabilities.json()["limits"]["rate_limit_per_minute"] == 3


def test_without_keys_an_address_has_a_rate(settings: dict[str, object]) -> None:
    config = OmpServerConfig(settings=settings, rate_limit_per_minute=1)
    with running(config) as server, server.client() as client:
        assert client.get("/memories?user_id=u").status_code == 200
        envelope(client.get("/memories?user_id=u"), 429, "rate_limited")


def test_overload_is_refused_at_once_and_what_was_accepted_is_finished(database: str) -> None:
    config = OmpServerConfig(settings={"url": database, "embedder": "hashing"}, max_in_flight=2)
    with running(config) as server, server.client() as client, ThreadPoolExecutor(2) as pool:
        client.get("/memories?user_id=u").raise_for_status()
        with psycopg.connect(database) as blocker:
            blocker.execute("LOCK TABLE openmem.memories IN ACCESS EXCLUSIVE MODE")
            accepted = [pool.submit(client.get, "/memories?user_id=u") for _ in range(2)]
            with psycopg.connect(database, autocommit=True) as watcher:
                while watcher.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() != (2,):
                    time.sleep(0.01)
            started = time.perf_counter()
            refused = client.get("/memories?user_id=u")
            assert time.perf_counter() - started < 0.5
            envelope(refused, 503, "provider_unavailable")
            assert refused.headers["retry-after"] == "1"
            assert client.get("/capabilities").status_code == 200
        assert [response.result().status_code for response in accepted] == [200, 200]
        assert client.get("/memories?user_id=u").status_code == 200


@pytest.fixture(scope="module")
def impatient(settings: dict[str, object]) -> Iterator[Running]:
    config = OmpServerConfig(settings=settings, head_timeout=0.3, read_timeout=0.3)
    with running(config) as server:
        yield server


@pytest.mark.parametrize("start", [b"", b"GET /capabilities HTT", b"GET /capabilities HTTP/1.1\r\nHost: localhost\r\n"])
def test_a_client_that_does_not_finish_its_head_is_cut_off(impatient: Running, start: bytes) -> None:
    with impatient.connect() as wire:
        wire.sendall(start)
        assert _ends(wire) == b""


def test_sending_a_head_byte_by_byte_gains_no_time(impatient: Running) -> None:
    with impatient.connect() as wire:
        started = time.perf_counter()
        try:
            while time.perf_counter() - started < 5:
                wire.sendall(b"G")
                time.sleep(0.05)
        except ConnectionError:
            pass
        assert time.perf_counter() - started < 2


def test_a_second_request_has_the_same_time(impatient: Running) -> None:
    with impatient.connect() as wire:
        wire.sendall(b"GET /capabilities HTTP/1.1\r\nHost: localhost\r\n\r\n")
        reply = wire.recv(65536)
        wire.sendall(b"GET /capab")
        reply += _ends(wire)
        assert reply.startswith(b"HTTP/1.1 200 ")
        assert reply.count(b"HTTP/1.1") == 1


def test_a_body_that_does_not_come_is_given_up(impatient: Running) -> None:
    with impatient.connect() as wire:
        wire.sendall(
            b"POST /memories HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        reply = wire.recv(65536)
        wire.sendall(b" ")
        reply += _ends(wire)
        assert reply.startswith(b"HTTP/1.1 400 ")
        assert b"did not arrive within 0.3 s" in reply


def test_a_client_that_does_not_take_its_reply_is_cut_off(impatient: Running) -> None:
    user = uuid.uuid4().hex
    with impatient.client() as client:
        for _ in range(8):
            client.post("/memories", content=body_of(MAX_BODY_BYTES, user), headers=JSON).raise_for_status()
    with socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.connect(("127.0.0.1", impatient.port))
        wire.sendall(f"GET /memories?user_id={user} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        wire.settimeout(10)
        assert wire.recv(10).startswith(b"HTTP/1.1 2")
        connections = impatient.server.server_state.connections
        deadline = time.perf_counter() + 5
        while connections and time.perf_counter() < deadline:
            time.sleep(0.02)
        assert not connections


def test_replies_do_not_wait_for_acknowledgements(shared: Running, client: httpx.Client) -> None:
    client.get("/capabilities")
    connections = list(shared.server.server_state.connections)
    assert connections
    for connection in connections:
        wire = connection.transport.get_extra_info("socket")
        assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def _ends(wire: socket.socket) -> bytes:
    """What still comes until the server closes the connection."""
    parts = []
    try:
        while part := wire.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)
