"""Requests that are wrong in every way: the right status, the error object, and nothing written."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import uuid
from collections.abc import Iterator

import httpx
import pytest

from .harness import Running, envelope

DEEP = '{"x-deep":' + "[" * 100_000 + "]" * 100_000 + ', "content": "c", "user_id": "USER"}'


@pytest.fixture
def user(client: httpx.Client) -> Iterator[str]:
    """A user who must have nothing in the end."""
    user = uuid.uuid4().hex
    yield user
    assert client.get("/memories", params={"user_id": user}).json()["items"] == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b'{"content": "c", "user_id": "USER"} x',
        b'\xef\xbb\xbf{"content": "c", "user_id": "USER"}',
        b'{"content": "\xff", "user_id": "USER"}',
        b'{"content": "a", "content": "b", "user_id": "USER"}',
        b'{"content": "c", "user_id": "USER", "x-a": {"k": 1, "k": 2}}',
        b'{"content": "c", "user_id": "USER", "confidence": NaN}',
        b'{"content": "c", "user_id": "USER", "confidence": Infinity}',
        b'{"content": "c", "user_id": "USER", "confidence": 1e999}',
        b'{"content": "c", "user_id": "USER", "x-a": 1e999}',
        b'{"content": "c", "user_id": "USER", "x-a": ' + b"9" * 5000 + b"}",
        b'{"content": "c", "user_id": "USER", "confidence": "0.5"}',
        b'{"content": "c", "user_id": "USER", "confidence": true}',
        b'{"content": "c", "user_id": "USER", "confidence": ' + b"9" * 400 + b"}",
        b'{"content": "c", "user_id": 7}',
        b'{"content": "c"}',
        b'{"user_id": "USER"}',
        b'{"content": "  ", "user_id": "USER"}',
        b'{"content": null, "user_id": "USER"}',
        b'{"content": "c", "user_id": "USER", "tags": "t"}',
        b'{"content": "c", "user_id": "USER", "tags": [1]}',
        b'{"content": "c", "user_id": "USER", "scope": "a//b"}',
        b'{"content": "c", "user_id": "USER", "scope": "a/*"}',
        b'{"content": "c", "user_id": "USER", "valid_from": "yesterday"}',
        b'{"content": "c", "user_id": "USER", "valid_from": 1700000000}',
        b'{"content": "c", "user_id": "USER", "valid_from": "2026-01-02", "valid_to": "2026-01-01"}',
        b'{"content": "c", "user_id": "USER", "source": "chat"}',
        b'{"content": "c", "user_id": "USER", "source": {"type": "guessed"}}',
        b'{"content": "c", "user_id": "USER", "supersedes": ["mem_unknown"]}',
        DEEP.encode(),
    ],
)  # fmt: skip
def test_bad_bodies(client: httpx.Client, user: str, body: bytes) -> None:
    content = body.replace(b"USER", user.encode())
    response = client.post("/memories", content=content, headers={"Content-Type": "application/json"})
    envelope(response, 400, "invalid_request")


@pytest.mark.parametrize("bad", ["\\u0000", "\\ud800", "\\udfff\\ud800"])
@pytest.mark.parametrize(
    "field",
    ["content", "user_id", "scope", "tags", "source.app", "source.ref", "source.x", "x-a", "x-a.key", "new", "NAME",
     "supersedes", "valid_from"],
)  # fmt: skip
def test_nul_and_lone_surrogates_in_every_field(client: httpx.Client, user: str, field: str, bad: str) -> None:
    value = f'"a{bad}b"'
    fields = {"content": '"c"', "user_id": f'"{user}"'}
    match field:
        case "tags" | "supersedes":
            fields[field] = f"[{value}]"
        case "x-a.key":
            fields["x-a"] = f"{{{value}: 1}}"
        case "NAME":
            fields[f"x-{bad}"] = "1"
        case _ if "." in field:
            fields["source"] = f'{{"{field.partition(".")[2]}": {value}}}'
        case _:
            fields[field] = value
    body = "{" + ", ".join(f'"{name}": {value}' for name, value in fields.items()) + "}"
    response = client.post("/memories", content=body, headers={"Content-Type": "application/json"})
    envelope(response, 400, "invalid_request")


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_other_content_types(client: httpx.Client, user: str, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    response = client.post("/memories", content=json.dumps({"content": "c", "user_id": user}), headers=headers)
    envelope(response, 400, "invalid_request")


@pytest.mark.parametrize("body", [{}, {"mood": 1}, {"content": None}, {"user_id": "me"}, {"tags": 1}])
def test_bad_updates(client: httpx.Client, body: object) -> None:
    envelope(client.patch("/memories/mem_x", json=body), 400, "invalid_request")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "user_id=",
        "user_id=%00",
        "user_id=%20",
        "user_id=u&limit=0",
        "user_id=u&limit=501",
        "user_id=u&limit=1.0",
        "user_id=u&limit=",
        "user_id=u&limit=%D9%A3",
        "user_id=u&limit=" + "9" * 5000,
        "user_id=u&cursor=",
        "user_id=u&cursor=nonsense",
        "user_id=u&cursor=" + "W" * 8000,
        "user_id=u&cursor=%ED%A0%80",
        "user_id=u&scope=a%00b",
        "user_id=u&scope=%2Fa",
        "user_id=u&tag=",
        "user_id=u&since=never",
        "user_id=u&since=0000-00-00",
        "user_id=u&since=9999-12-31T23:59:59-12:00",
        "user_id=u&user_id=v",
        "user_id=u&limit=1&limit=2",
        "user_id=" + "u" * 513,
        "q=" + "x" * 33_000,
    ],
)  # fmt: skip
def test_bad_list_queries(client: httpx.Client, query: str) -> None:
    envelope(client.get(f"/memories?{query}"), 400, "invalid_request")


@pytest.mark.parametrize(
    "query",
    ["q=x", "user_id=u", "q=&user_id=u", "q=x&user_id=u&limit=101", "q=%00&user_id=u"]
    + [f"q=x&user_id=u&min_score={value}" for value in ("nan", "inf", "1.1", "-0.1", "1_0", "0x1", " 1", "", "1e999")],
)
def test_bad_searches(client: httpx.Client, query: str) -> None:
    envelope(client.get(f"/memories/search?{query}"), 400, "invalid_request")


@pytest.mark.parametrize("query", ["user_id=u&limit=1001", "user_id=u&app=%00", "user_id=u&since=x", ""])
def test_bad_audits(client: httpx.Client, query: str) -> None:
    envelope(client.get(f"/audit?{query}"), 400, "invalid_request")


@pytest.mark.parametrize("budget", [0, -1, 1.5, "5", True, None])
def test_bad_budgets(client: httpx.Client, budget: object) -> None:
    body = {"query": "x", "user_id": "u", "token_budget": budget}
    envelope(client.post("/context", json=body), 400, "invalid_request")


@pytest.mark.parametrize("id", ["%00", "%20", "%ED%A0%80", "..%2F..%2Fetc%2Fpasswd", "a" * 513, "mem_%F0%9F%92%A5"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_strange_ids(client: httpx.Client, method: str, id: str) -> None:
    response = client.request(method, f"/memories/{id}")
    assert response.status_code in (400, 404)
    envelope(response, response.status_code, "not_found" if response.status_code == 404 else "invalid_request")


@pytest.mark.parametrize(
    ("query", "headers", "in_body"),
    [
        ("?user_id=a", {}, "b"),
        ("", {"X-User-Id": "a"}, "b"),
        ("?user_id=a", {"X-User-Id": "b"}, "a"),
        ("?user_id=a", {"X-User-Id": "b"}, None),
        ("", [("X-User-Id", "a"), ("X-User-Id", "b")], None),
        ("", {"X-User-Id": "%ff"}, None),
    ],
)
def test_contradicting_users(
    client: httpx.Client, query: str, headers: dict[str, str] | list[tuple[str, str]], in_body: str | None
) -> None:
    body = {"content": "c"} if in_body is None else {"content": "c", "user_id": in_body}
    envelope(client.post(f"/memories{query}", json=body, headers=headers), 400, "invalid_request")
    assert client.get("/memories?user_id=a").json()["items"] == []
    assert client.get("/memories?user_id=b").json()["items"] == []


@pytest.mark.parametrize("key", ["", "a b", "\xe9", "k" * 256])
def test_bad_idempotency_keys(client: httpx.Client, user: str, key: str) -> None:
    headers = [(b"Idempotency-Key", key.encode("latin-1"))]
    response = client.post("/memories", json={"content": "c", "user_id": user}, headers=headers)
    envelope(response, 400, "invalid_request")


def test_the_error_names_the_field(client: httpx.Client) -> None:
    response = client.post("/memories", json={"content": "c", "user_id": "u", "confidence": 2})
    assert "confidence" in envelope(response, 400, "invalid_request")["message"]


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET /capabilities\r\n\r\n",
        b"GET /cap abilities HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /capabilities HTTP/1.1\r\n\r\n",
        b"POST /memories HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"POST /memories HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /memories HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
    ],
)
def test_what_is_not_http(shared: Running, raw: bytes) -> None:
    with shared.connect() as wire:
        wire.sendall(raw)
        reply = _all(wire)
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))
    assert json.loads(body)["error"]["code"] == "invalid_request"


def test_a_head_without_end_is_cut_off(shared: Running, client: httpx.Client) -> None:
    with shared.connect() as wire, contextlib.suppress(ConnectionError):
        wire.sendall(b"GET /capabilities HTTP/1.1\r\nHost: localhost\r\nX: ")
        while not select.select([wire], [], [], 0)[0]:
            wire.sendall(b"y" * 10_000)
        assert _all(wire).startswith(b"HTTP/1.1 400 ")
    assert client.get("/capabilities").status_code == 200


def test_too_many_headers(client: httpx.Client) -> None:
    envelope(client.get("/capabilities", headers={"X-Big": "y" * 33_000}), 400, "invalid_request")


def test_an_upgrade_is_no_way_in(client: httpx.Client) -> None:
    response = client.get("/nowhere", headers={"Connection": "Upgrade", "Upgrade": "websocket"})
    envelope(response, 404, "not_found")


def _all(wire: socket.socket) -> bytes:
    parts = []
    while part := wire.recv(65536):
        parts.append(part)
    return b"".join(parts)
