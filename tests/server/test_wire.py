"""Raw bytes: what HTTP/1.1 asks of a server, and what hides one request in another."""

from __future__ import annotations

import json
import logging
import socket
import time
import uuid
from collections.abc import Iterator

import h11
import httpx
import pytest

from openmem.server import OmpServerConfig
from openmem.server.middleware import SECURITY_HEADERS

from .harness import Running, running

MAX_REPLY = 2_000
HOST = b"Host: localhost\r\n"
BODY = b'{"content": "c", "user_id": "smuggled"}'
POST = b"POST /memories HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"


def everything(wire: socket.socket) -> bytes:
    parts = []
    while part := wire.recv(65536):
        parts.append(part)
    return b"".join(parts)


def exchange(server: Running, *packets: bytes) -> bytes:
    """All that the server answers to the packets, until it closes the connection."""
    with server.connect() as wire:
        for packet in packets:
            wire.sendall(packet)
        return everything(wire)


def parsed(reply: bytes) -> tuple[int, dict[str, str], bytes]:
    """The one reply in `reply`: its status, headers and content."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "localhost"), ("Connection", "close")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(reply)
    connection.receive_data(b"")
    response = connection.next_event()
    assert isinstance(response, h11.Response)
    content = b""
    while isinstance(event := connection.next_event(), h11.Data):
        content += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert connection.trailing_data == (b"", True), "there is more than one reply"
    return response.status_code, {name.decode(): value.decode() for name, value in response.headers}, content


def refusal(reply: bytes) -> tuple[str, str]:
    """The message and the request id of a refusal in the protocol's form, with all headers that a reply has."""
    assert len(reply) < MAX_REPLY
    status, headers, content = parsed(reply)
    assert status == 400
    assert headers["content-type"] == "application/json"
    assert headers["connection"] == "close"
    assert "date" in headers
    assert "server" not in headers
    for name, value in SECURITY_HEADERS:
        assert headers[name.decode()] == value.decode()
    error = json.loads(content)["error"]
    assert (error["code"], error["type"]) == ("invalid_request", "invalid")
    assert error["request_id"] == headers["x-request-id"]
    return error["message"], error["request_id"]


REFUSED = {
    "nonsense": b"nonsense\r\n\r\n",
    "no version": b"GET /healthz\r\n\r\n",
    "another version": b"GET /healthz HTTP/2.0\r\n" + HOST + b"\r\n",
    "an old version": b"GET /healthz HTTP/0.9\r\n" + HOST + b"\r\n",
    "two spaces": b"GET  /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "a byte in the target": b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "no path": b"GET healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "another scheme": b"GET ftp://localhost/healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "connect": b"CONNECT localhost:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\n" + HOST + b"Host: example.org\r\n\r\n",
    "one host twice": b"GET /healthz HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n",
    "chunks in 1.0": b"POST /memories HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "two lengths in one": POST + b"Content-Length: 5, 6\r\n\r\nhello",
    "a signed length": POST + b"Content-Length: +5\r\n\r\nhello",
    "a negative length": POST + b"Content-Length: -5\r\n\r\nhello",
    "a length in hex": POST + b"Content-Length: 0x5\r\n\r\nhello",
    "another coding": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "two codings": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunks twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": POST + b"Content-Length : 5\r\n\r\nhello",
    "a folded header": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-A: a\r\n b\r\n\r\n",
    "a folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a folded first line": b"GET /healthz HTTP/1.1\r\n X-A: a\r\n" + HOST + b"\r\n",
    "a bare CR in a header": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-A: a\rX-B: b\r\n\r\n",
    "a bare CR in the first line": b"GET /healthz\r HTTP/1.1\r\n" + HOST + b"\r\n",
    "a NUL": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-A: a\0b\r\n\r\n",
    "a name that is none": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X(A): a\r\n\r\n",
    "a long first line": b"GET /" + b"a" * 300_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a first line of megabytes": b"GET /" + b"a" * 3_000_000,
    "a bad chunk size": POST + b"Transfer-Encoding: chunked\r\n\r\nfive\r\nhello\r\n0\r\n\r\n",
    "a huge chunk size": POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 21 + b"\r\nhello\r\n0\r\n\r\n",
    "a chunk that goes on": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
    "a chunk extension of kilobytes": POST + b"Transfer-Encoding: chunked\r\n\r\n5;x=" + b"a" * 300_000,
    "empty lines in plenty": b"\r\n" * 10_000 + b"nonsense\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
def test_what_is_refused_and_closed(shared: Running, client: httpx.Client, raw: bytes) -> None:
    hidden = (
        b"POST /memories HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
    )
    refusal(exchange(shared, raw + hidden % (len(BODY), BODY)))
    assert client.get("/memories?user_id=smuggled").json()["items"] == []


@pytest.mark.parametrize("name", ["length and chunks", "a folded header", "another version", "a bad chunk size"])
def test_a_refusal_of_what_could_be_read_has_the_id_that_was_given(shared: Running, name: str) -> None:
    given = uuid.uuid4().hex
    raw = REFUSED[name].replace(HOST, HOST + f"X-Request-Id: {given}\r\n".encode())
    assert refusal(exchange(shared, raw))[1] == given


def test_a_refusal_says_what_to_do(shared: Running) -> None:
    assert "send one of them" in refusal(exchange(shared, REFUSED["length and chunks"]))[0]
    assert "write it into one" in refusal(exchange(shared, REFUSED["a folded header"]))[0]
    assert "bytes" in refusal(exchange(shared, REFUSED["a first line of megabytes"]))[0]


def test_every_refusal_is_one_line_in_the_access_log(shared: Running, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="openmem.access"):
        ids = [refusal(exchange(shared, REFUSED[name]))[1] for name in ("nonsense", "length and chunks", "two hosts")]
    lines = [record.getMessage() for record in caplog.records if record.name == "openmem.access"]
    assert lines == [f"method=- path=- status=400 ms=0.0 request_id={id}" for id in ids]


def test_the_access_log_does_not_tell_who_is_forgotten(shared: Running, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="openmem.access"):
        for path in ("/users/maya%40example.org", "/users/maya@example.org/", "/v1/users/maya@example.org?a=b"):
            httpx.delete(f"{shared.url}{path}", trust_env=False)
        deadline = time.monotonic() + 10
        while len(lines := [record.getMessage() for record in caplog.records if record.name == "openmem.access"]) < 3:
            assert time.monotonic() < deadline, lines
            time.sleep(0.01)
    assert len(lines) == 3
    assert all("/users/{user_id}" in line for line in lines)
    assert "maya" not in "".join(lines)


def test_byte_by_byte_it_is_the_same(shared: Running) -> None:
    for name in ("length and chunks", "a folded header", "chunks in 1.0"):
        head = REFUSED[name].partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        refusal(exchange(shared, *(head[place : place + 1] for place in range(len(head)))))


CLOSE = HOST + b"Connection: close\r\n\r\n"

ACCEPTED = {
    "plain": b"GET /healthz HTTP/1.1\r\n" + CLOSE,
    "an empty line first": b"\r\nGET /healthz HTTP/1.1\r\n" + CLOSE,
    "empty lines first": b"\n\r\n\r\nGET /healthz HTTP/1.1\r\n" + CLOSE,
    "lines that end in LF": (b"GET /healthz HTTP/1.1\r\n" + CLOSE).replace(b"\r\n", b"\n"),
    "the whole URL": b"GET http://localhost/healthz HTTP/1.1\r\n" + CLOSE,
    "the whole URL of another port": b"GET HTTP://127.0.0.1:1/healthz HTTP/1.1\r\n" + CLOSE,
    "the whole URL with a query": b"GET https://localhost:8080/healthz?a=b HTTP/1.1\r\n" + CLOSE,
    "version 1.0": b"GET /healthz HTTP/1.0\r\n\r\n",
    "version 1.0, the whole URL": b"GET http://localhost/healthz HTTP/1.0\r\n\r\n",
    "one length twice": b"GET /healthz HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n" + CLOSE + b"{}",
    "chunks": b"GET /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + CLOSE + b"2\r\n{}\r\n0\r\n\r\n",
    "chunk extensions": b"GET /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + CLOSE
    + b"2;a=b;c\r\n{}\r\n0;d\r\nX-Trailer: t\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("raw", ACCEPTED.values(), ids=ACCEPTED)
def test_what_is_accepted(shared: Running, raw: bytes) -> None:
    status, headers, content = parsed(exchange(shared, raw))
    assert (status, json.loads(content)["status"]) == (200, "ok")
    assert "x-request-id" in headers


def test_empty_lines_between_requests(shared: Running) -> None:
    one = b"GET /capabilities HTTP/1.1\r\n" + HOST + b"\r\n"
    body = POST + b"Content-Length: 2\r\n\r\n{}"
    for raw in (one + b"\r\n" + one + b"\r\n\r\n" + one, body + b"\r\n" + one + one):
        reply = exchange(shared, raw + b"\r\n" + ACCEPTED["plain"])
        assert reply.count(b"HTTP/1.1 ") == 4


def test_the_whole_url_without_a_path(shared: Running) -> None:
    status, _, content = parsed(exchange(shared, b"GET http://localhost HTTP/1.1\r\n" + CLOSE))
    assert (status, json.loads(content)["error"]["code"]) == (404, "not_found")


@pytest.fixture(scope="module")
def local(settings: dict[str, object]) -> Iterator[Running]:
    """A server that only answers to the names of this machine."""
    with running(OmpServerConfig(settings=settings, loopback_only=True)) as server:
        yield server


def get(target: bytes, host: bytes | None) -> bytes:
    head = b"" if host is None else b"Host: " + host + b"\r\n"
    return b"GET " + target + b" HTTP/1.1\r\n" + head + b"Connection: close\r\n\r\n"


MALFORMED_HOSTS = [
    b"[localhost", b"[localhost]", b"[::1", b"::1", b"[127.0.0.1]", b"[::1]x", b"[::1]:80:80", b"[]", b"localhost:x",
    b"localhost:80:80", b"localhost:65536", b"localhost:123456", b"user@localhost", b"localhost@example.org",
    b"localhost/", b"localhost localhost", b"localhost\\", b"local\xffhost", b"http://localhost", b"localhost?",
]  # fmt: skip


@pytest.mark.parametrize("host", MALFORMED_HOSTS)
def test_a_host_that_is_none_is_refused_everywhere(local: Running, shared: Running, host: bytes) -> None:
    for server in (local, shared):
        for raw in (get(b"/capabilities", host), get(b"http://%s/capabilities" % host, b"localhost")):
            if raw.startswith(b"GET http") and (b" " in host or b"/" in host or b"\xff" in host or b"?" in host):
                continue
            status, headers, content = parsed(exchange(server, raw))
            assert (status, json.loads(content)["error"]["code"]) == (400, "invalid_request"), raw
            assert json.loads(content)["error"]["request_id"] == headers["x-request-id"]


@pytest.mark.parametrize(
    "host",
    [b"localhost", b"LocalHost:80", b"localhost:", b"127.0.0.1", b"127.8.8.8:1", b"[::1]", b"[0:0::1]:80",
     b"[::ffff:127.0.0.1]", b"localhost.", b"app.localhost:80"],
)  # fmt: skip
def test_names_of_this_machine(local: Running, host: bytes) -> None:
    assert parsed(exchange(local, get(b"/capabilities", host)))[0] == 200
    assert parsed(exchange(local, get(b"http://" + host + b"/capabilities", b"example.org")))[0] == 200


@pytest.mark.parametrize(
    "host",
    [b"", b"example.org", b"localhost.example", b"127.0.0.1.example", b"0.0.0.0", b"[::]", b"127.1", b"2130706433",
     b"0x7f.0.0.1",
     b"127.0.0.1%00.example", b"127.0.0.1%lo", b"locahost", b"notlocalhost", b"localhost%2eexample",
     b"localhost,example.org", b"[::ffff:10.0.0.1]", b"017700000001"],
)  # fmt: skip
def test_names_of_others(local: Running, host: bytes) -> None:
    for raw in (get(b"/capabilities", host), get(b"http://" + host + b"/capabilities", b"localhost")):
        status, _, content = parsed(exchange(local, raw))
        assert (status, json.loads(content)["error"]["code"]) == (403, "scope_denied"), raw


def test_without_a_host_there_is_no_loopback(local: Running) -> None:
    assert parsed(exchange(local, b"GET /capabilities HTTP/1.0\r\n\r\n"))[0] == 403


@pytest.mark.parametrize("number", [129, 5_000])
def test_many_headers(shared: Running, number: int) -> None:
    raw = b"GET /capabilities HTTP/1.1\r\n" + b"X:\r\n" * number + CLOSE
    status, headers, content = parsed(exchange(shared, raw))
    assert (status, json.loads(content)["error"]["code"]) == (400, "invalid_request")
    assert "x-request-id" in headers
