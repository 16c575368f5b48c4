"""Every route with its reply, and every header all replies have."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from openmem import Memory
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


@pytest.mark.parametrize(
    "path", ["/", "/nowhere", "/memories/", "/Memories", "/docs/", "/redoc", "/openapi.yaml", "//memories"]
)
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


class Page(HTMLParser):
    """What a browser would load and where it could jump to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.style = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.ids += [value or "" for name, value in attributes if name == "id"]
        self.links += [value or "" for name, value in attributes if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        if self.get_starttag_text() == "<style>" and not self.style:
            self.style = data


def test_the_page_for_people_needs_no_other_host(client: httpx.Client) -> None:
    response = client.get("/docs")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    page = Page(response.text)
    assert not page.tags & {"script", "link", "img", "iframe"}
    assert len(page.ids) == len(set(page.ids))
    assert {link for link in page.links if not link.startswith("#")} == {"openapi.json"}
    assert {link.removeprefix("#") for link in page.links} - {"openapi.json"} <= set(page.ids)
    assert {route.name or route.verb for route in ROUTES} <= set(page.ids)
    [policy] = response.headers.get_list("content-security-policy")
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    envelope(client.post("/docs"), 405, "method_not_allowed")


def test_the_version_of_a_memory_is_its_etag(client: httpx.Client, user: str) -> None:
    put = {"key": "diet", "content": "no meat", "user_id": user}
    created = client.put("/memories/by-key", json=put, headers={"If-None-Match": "*"})
    assert (created.status_code, created.headers["etag"]) == (200, '"1"')
    path = f"/memories/{created.json()['id']}"
    assert client.get(path).headers["etag"] == client.head(path).headers["etag"] == '"1"'
    changed = client.patch(path, json={"tags": ["food"]}, headers={"If-Match": '"1"'})
    assert changed.headers["etag"] == '"2"'
    assert client.get("/memories/by-key", params={"user_id": user, "key": "diet"}).headers["etag"] == '"2"'
    first = {"If-Match": '"1"'}
    envelope(client.patch(path, json={"tags": []}, headers=first), 409, "conflict")
    envelope(client.delete(path, headers=first), 409, "conflict")
    envelope(client.put("/memories/by-key", json=put, headers=first), 409, "conflict")
    envelope(client.put("/memories/by-key", json=put, headers={"If-None-Match": "*"}), 409, "conflict")
    assert client.get(path).json() == changed.json()
    assert "etag" not in client.get("/memories", params={"user_id": user}).headers
    assert client.delete(path, headers={"If-Match": '"2"'}, params={"if_version": 2}).status_code == 204


@pytest.mark.parametrize("tag", ["", "1", "*", 'W/"1"', '"1", "2"', '"0"', '"x"', '"01"'])
def test_a_version_that_is_none(client: httpx.Client, tag: str) -> None:
    put = {"key": "k", "content": "c", "user_id": "u"}
    for method, path, body in (
        ("PATCH", "/memories/mem_x", {"tags": []}),
        ("DELETE", "/memories/mem_x", None),
        ("PUT", "/memories/by-key", put),
    ):  # fmt: skip
        response = client.request(method, path, json=body, headers={"If-Match": tag})
        assert envelope(response, 400, "invalid_request")["message"].startswith("If-Match: ")


def test_versions_that_contradict_each_other(client: httpx.Client) -> None:
    put = {"key": "k", "content": "c", "user_id": "u", "if_version": 1}
    for headers in ({"If-Match": '"2"'}, {"If-None-Match": "*"}):
        message = envelope(client.put("/memories/by-key", json=put, headers=headers), 400, "invalid_request")["message"]
        assert message.startswith("if_version: it is given twice")
    for headers in ({"If-None-Match": '"1"'}, {"If-None-Match": "*", "If-Match": '"1"'}):
        message = envelope(client.put("/memories/by-key", json=put, headers=headers), 400, "invalid_request")["message"]
        assert message.startswith("If-None-Match: ")
    response = client.delete("/memories/mem_x", params={"if_version": 1}, headers={"If-Match": '"2"'})
    envelope(response, 400, "invalid_request")


def test_the_same_search_by_query_string_and_by_body(client: httpx.Client, user: str) -> None:
    kept = add(client, user, scope="a/b", tags=["x", "y"], metadata={"n": 10, "a.b": 1}, source={"app": "chat"})
    add(client, user, scope="a", tags=["x"], metadata={"n": 9})
    add(client, user, scope="c", tags=["y"])
    filters: dict[str, Any] = {
        "scope": ["a/**", "d"], "tags": ["x", "y"], "any_tags": ["z", "x"], "where": {"n": {"$gte": 10}}, "app": "chat",
        "since": "2020-01-01T00:00:00Z",
    }  # fmt: skip
    query = {**filters, "where": json.dumps(filters["where"]), "user_id": user}
    by_query = client.get("/memories/search", params={**query, "q": "dark mode"}).json()["results"]
    by_body = client.post("/memories/search", json={**filters, "user_id": user, "query": "dark mode"}).json()["results"]
    assert by_query == by_body
    assert [result["memory"]["id"] for result in by_query] == [kept["id"]]
    assert [item["id"] for item in client.get("/memories", params=query).json()["items"]] == [kept["id"]]
    assert client.get("/memories/count", params=query).json() == {"count": 1}
    block = client.post("/context", json={**filters, "user_id": user, "query": "dark mode"}).json()
    assert [citation["memory_id"] for citation in block["citations"]] == [kept["id"]]
    facets = client.get("/memories/facets", params={"user_id": user, "by": "tag"}).json()["facets"]
    assert [(facet["value"], facet["count"]) for facet in facets] == [("y", 2), ("x", 2)]
    deleted = client.post("/memories/delete", json={**filters, "user_id": user})
    assert deleted.json() == {"deleted": 1}


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("{", "valid JSON"), ("[1]", "type list"), ("1", "type int"), ('{"a": 1, "a": 2}', "'a' twice"),
        ('{"a": NaN}', "NaN"), ('{"a": {"$near": 1}}', "$near"), ("", "JSON"),
        ('{"a":' * 2000 + "1" + "}" * 2000, "nested"),
    ],
)  # fmt: skip
def test_a_filter_that_is_none(client: httpx.Client, where: str, said: str) -> None:
    for path in ("/memories", "/memories/count"):
        response = client.get(path, params={"user_id": "u", "where": where})
        message = envelope(response, 400, "invalid_request")["message"]
        assert message.startswith("where")
        assert said in message


def test_texts_that_no_search_finds_may_be_long(client: httpx.Client, user: str) -> None:
    text = "x" * (512 * 1024)
    record = add(client, user, text, indexed=False)
    assert client.get(f"/memories/{record['id']}").json()["content"] == text
    response = client.post("/memories", json={"content": text, "user_id": user})
    assert "content" in envelope(response, 400, "invalid_request")["message"]
    with Memory("passthrough", base_url=str(client.base_url)) as memory:
        assert memory.list(user, limit=1)[0].content == text


def test_records_are_restored_as_they_were_read(client: httpx.Client, user: str) -> None:
    records = [add(client, user, f"note {number}", key=str(number), metadata={"n": 1e23}) for number in range(3)]
    changed = client.patch(f"/memories/{records[0]['id']}", json={"tags": ["a"]}).json()
    page = client.get("/memories", params={"user_id": user}).json()["items"]
    assert client.delete(f"/users/{user}").json()["memories"] == 3
    assert client.get("/memories", params={"user_id": user}).json()["items"] == []
    for _ in range(2):
        restored = client.post("/memories/restore", json={"records": page})
        assert restored.status_code == 200, restored.text
        assert restored.json()["memories"] == page
    assert client.get("/memories/by-key", params={"user_id": user, "key": "0"}).json() == changed
    assert user in {entry["user_id"] for entry in client.get("/users", params={"prefix": user}).json()["items"]}
