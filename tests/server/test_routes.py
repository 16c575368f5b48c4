"""Every route with its reply, and every header all replies have."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from openmem.wire.routes import ROUTES

from .harness import envelope


@pytest.fixture
def user() -> str:
    return uuid.uuid4().hex


def add(client: httpx.Client, user: str, content: str = "prefers dark mode", **fields: object) -> dict[str, object]:
    response = client.post("/memories", json={"content": content, "user_id": user, **fields})
    assert response.status_code == 201, response.text
    record: dict[str, object] = response.json()
    return record


def test_a_memory_lives_through_all_verbs(client: httpx.Client, user: str) -> None:
    record = add(client, user, scope="ui/theme", tags=["ui"], confidence=0.5, source={"app": "chat"})
    path = f"/memories/{record['id']}"
    assert record["user_id"] == user
    assert client.get(path).json() == record

    changed = client.patch(path, json={"tags": None, "content": "prefers light mode"})
    assert changed.status_code == 200
    assert changed.json()["content"] == "prefers light mode"
    assert "tags" not in changed.json()

    found = client.get("/memories/search", params={"q": "light mode", "user_id": user, "limit": 1})
    assert found.status_code == 200
    [result] = found.json()["results"]
    assert result["memory"]["id"] == record["id"]
    assert 0 < result["score"] <= 1

    page = client.get("/memories", params={"user_id": user, "scope": "ui/*"})
    assert [item["id"] for item in page.json()["items"]] == [record["id"]]

    block = client.post("/context", json={"query": "light mode", "user_id": user, "token_budget": 100})
    assert block.status_code == 200
    assert f"[{record['id']}]" in block.json()["text"]

    deleted = client.delete(path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    envelope(client.get(path), 404, "not_found")

    entries = client.get("/audit", params={"user_id": user}).json()["entries"]
    assert [entry["action"] for entry in entries] == ["delete", "context", "list", "search", "update", "get", "add"]
    assert entries[-1]["app"] == "chat"


def test_pages_follow_each_other(client: httpx.Client, user: str) -> None:
    ids = [add(client, user, f"note {number}")["id"] for number in range(5)]
    seen: list[object] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get("/memories", params={"user_id": user, "limit": 2, **cursor}).json()
        seen += [item["id"] for item in page["items"]]
        if "next_cursor" not in page:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == ids[::-1]


def test_fields_of_newer_clients_are_kept(client: httpx.Client, user: str) -> None:
    newer: dict[str, Any] = {
        "mood": {"level": 3}, "resource": 1, "score": 0.5, "context": "chat", "x-mem0": [1], "x-": None, "X-Y": 2,
    }  # fmt: skip
    record = add(client, user, **newer)
    assert {name: record.get(name) for name in newer} == newer
    assert client.get(f"/memories/{record['id']}").json() == record


@pytest.mark.parametrize("path", ["/capabilities", "/healthz"])
def test_what_a_server_is(client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert response.json()["provider"] == "postgres"
    assert response.json()["omp_version"] == "0.1"
    head = client.head(path)
    assert (head.status_code, head.content) == (200, b"")


def test_the_request_id_goes_through_to_the_audit_log(client: httpx.Client, user: str) -> None:
    given = f"req.{uuid.uuid4().hex}_-"
    response = client.get("/memories", params={"user_id": user}, headers={"X-Request-Id": given})
    assert response.headers["x-request-id"] == given
    [entry] = client.get("/audit", params={"user_id": user}).json()["entries"]
    assert entry["request_id"] == given


@pytest.mark.parametrize("given", ["", "a" * 65, "with space", "a;b", "\xe9"])
def test_other_request_ids_are_replaced(client: httpx.Client, given: str) -> None:
    response = client.get("/capabilities", headers=[(b"X-Request-Id", given.encode("latin-1"))])
    made = response.headers["x-request-id"]
    assert made != given
    assert len(made) == 32
    assert client.get("/capabilities").headers["x-request-id"] != made


def test_the_calling_application_is_audited(client: httpx.Client, user: str) -> None:
    client.get("/memories", params={"user_id": user}, headers={"X-OMP-App": "caf%C3%A9"})
    [entry] = client.get("/audit", params={"user_id": user, "app": "café"}).json()["entries"]
    assert entry["app"] == "café"


@pytest.mark.parametrize("app", ["", "%00", "a" * 513, "%ff"])
def test_an_unusable_application_name_is_refused(client: httpx.Client, user: str, app: str) -> None:
    envelope(client.get("/memories", params={"user_id": user}, headers={"X-OMP-App": app}), 400, "invalid_request")


@pytest.mark.parametrize("path", ["/capabilities", "/memories", "/nowhere"])
def test_security_headers(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES} | {"/capabilities", "/healthz"}))
def test_other_methods_are_refused_with_those_there_are(client: httpx.Client, path: str) -> None:
    allowed: set[str] = {route.method for route in ROUTES if route.path == path} or {"GET"}
    allowed |= {"HEAD"} if "GET" in allowed else set()
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"} - allowed - {"HEAD"}:
        response = client.request(method, path.replace("{id}", "mem_x"))
        envelope(response, 405, "method_not_allowed")
        assert set(response.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize("path", ["/", "/nowhere", "/memories/", "/Memories", "/docs", "/openapi.yaml", "//memories"])
def test_unknown_paths(client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code in (400, 404)
    envelope(response, response.status_code, "not_found" if response.status_code == 404 else "invalid_request")


def test_a_user_may_come_in_the_header(client: httpx.Client) -> None:
    user = f"zoë {uuid.uuid4().hex}"
    quoted = {"X-User-Id": user.replace("ë", "%C3%AB").replace(" ", "%20")}
    record = client.post("/memories", json={"content": "x"}, headers=quoted).json()
    assert record["user_id"] == user
    page = client.get("/memories", params={"user_id": user}, headers=quoted).json()
    assert [item["id"] for item in page["items"]] == [record["id"]]
    assert client.get(f"/memories/{record['id']}", headers=quoted).status_code == 200
    block = client.post("/context", params={"user_id": user}, json={"query": "x"}, headers=quoted)
    assert block.status_code == 200


@pytest.mark.parametrize("place", ["header", "query"])
def test_by_id_another_user_has_no_memory(client: httpx.Client, user: str, place: str) -> None:
    path = f"/memories/{add(client, user)['id']}"

    def of(who: str) -> dict[str, Any]:
        return {"headers": {"X-User-Id": who}} if place == "header" else {"params": {"user_id": who}}

    other = of("somebody-else")
    envelope(client.get(path, **other), 404, "not_found")
    envelope(client.patch(path, json={"tags": ["x"]}, **other), 404, "not_found")
    envelope(client.delete(path, **other), 404, "not_found")
    envelope(client.get(path, params={"user_id": user}, headers={"X-User-Id": "other"}), 400, "invalid_request")
    assert client.get(path, **of(user)).status_code == 200
    assert client.patch(path, json={"tags": ["x"]}, **of(user)).status_code == 200
    assert client.delete(path, **of(user)).status_code == 204


@pytest.mark.parametrize("value", ["2024", "007", "-1.5", "1e5", "true", "null", "[1]", '"a"'])
def test_text_in_a_query_that_looks_like_something_else(client: httpx.Client, user: str, value: str) -> None:
    record = add(client, user, content=value, scope=value, tags=[value], source={"app": value})
    for filters in ({"tag": value}, {"scope": value}):
        page = client.get("/memories", params={"user_id": user, **filters})
        assert [item["id"] for item in page.json()["items"]] == [record["id"]]
    found = client.get("/memories/search", params={"user_id": user, "q": value, "scope": value, "limit": "5"})
    assert found.status_code == 200
    entries = client.get("/audit", params={"user_id": user, "app": value}).json()["entries"]
    assert [entry["memory_id"] for entry in entries] == [record["id"]]


def test_a_body_where_none_has_a_meaning_changes_nothing(client: httpx.Client, user: str) -> None:
    record = add(client, user)
    for method, path in (("GET", f"/memories?user_id={user}"), ("GET", "/healthz"), ("HEAD", "/capabilities")):
        for body in (b"{}", b'{"user_id": "another"}', b"\xff" * 100_000):
            response = client.request(method, path, content=body)
            assert response.status_code == 200
    assert client.get(f"/memories/{record['id']}").json() == record


@pytest.mark.parametrize("path", ["/memories?user_id=u", "/memories/mem_unknown", "/audit", "/nowhere", "/memories"])
def test_head_is_get_without_its_content(client: httpx.Client, path: str) -> None:
    head, get = client.head(path), client.get(path)
    volatile = {"x-request-id", "date", "content-length"}
    assert head.status_code == get.status_code
    assert head.content == b""
    assert {*head.headers.items()} - {("x-request-id", "")} >= {
        (name, value) for name, value in get.headers.items() if name not in volatile
    }


def test_the_time_zone_of_a_query(client: httpx.Client, user: str) -> None:
    add(client, user)
    asked = {"q": "dark mode yesterday", "user_id": user, "timezone": "Asia/Tokyo"}
    assert client.get("/memories/search", params=asked).status_code == 200
    asked["timezone"] = "Mars/Olympus"
    assert "timezone" in envelope(client.get("/memories/search", params=asked), 400, "invalid_request")["message"]
    body = {"query": "dark mode", "user_id": user, "timezone": "+09:00"}
    assert client.post("/context", json=body).status_code == 200


def test_recency_is_in_seconds(client: httpx.Client, user: str) -> None:
    add(client, user)
    asked = {"q": "dark mode", "user_id": user, "recency": "86400"}
    assert client.get("/memories/search", params=asked).status_code == 200
    asked["recency"] = "0"
    assert "recency" in envelope(client.get("/memories/search", params=asked), 400, "invalid_request")["message"]
    body = {"query": "dark mode", "user_id": user, "recency": 86_400.5}
    assert client.post("/context", json=body).status_code == 200
