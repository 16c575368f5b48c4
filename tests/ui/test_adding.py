"""The page that adds a memory by hand."""

from __future__ import annotations

import httpx
import pytest

from openmem import Memory
from openmem.server import OmpServerConfig
from openmem.server.keys import KeysFile

from ..server.harness import Running, running
from .pages import parsed, post, sign_in
from .test_memories import HOSTILE, fields_of, links

SAME = {"Sec-Fetch-Site": "same-origin"}


def test_a_memory_is_added_with_all_fields(browser: httpx.Client, memory: Memory) -> None:
    memory.forget_user("adds")
    [way] = links(parsed(browser.get("/ui/memories?user_id=adds")), "Add the first one")
    form = parsed(browser.get(way)).one("form", action="/ui/add")
    fields = fields_of(form) | {
        "content": [HOSTILE + "\r\nand more"], "scope": ["food/likes"], "tags": ["diet", ""], "confidence": ["0.75"],
        "metadata": ['{"n": 1}'], "valid_from": ["2026-01-01T00:00:00"], "expires_at": ["2126-01-01T00:00:00"],
    }  # fmt: skip
    answer = post(browser, "/ui/add", fields)
    assert answer.status_code == 303, answer.text
    page = parsed(browser.get(answer.headers["location"]))
    assert page.one("p", role="status").text == "The memory is stored."
    [stored] = memory.list("adds")
    assert stored.content == HOSTILE + "\nand more"
    assert (stored.scope, stored.tags, stored.confidence, stored.metadata) == ("food/likes", ["diet"], 0.75, {"n": 1})
    assert stored.valid_from is not None
    assert stored.expires_at is not None
    assert stored.source is not None
    assert (stored.source.app, stored.source.type) == ("omp-server ui", "explicit")
    assert post(browser, "/ui/add", fields).headers["location"] == answer.headers["location"]
    assert post(browser, "/ui/add", fields | {"content": ["something else"]}).status_code == 303
    assert memory.count("adds") == 2


def test_a_link_from_a_scope_fills_it_in(browser: httpx.Client, memory: Memory) -> None:
    memory.add(content="x", user_id="adds-scoped", scope="a/b")
    for scope, expected in (("a/b", "a/b"), ("a/**", "")):
        [way] = links(
            parsed(browser.get("/ui/memories", params={"user_id": "adds-scoped", "scope": scope})), "Add a memory"
        )
        assert parsed(browser.get(way)).one("input", id="scope").attributes["value"] == expected


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"content": "  "}, "content"),
        ({"content": "x", "scope": "//"}, "scope"),
        ({"content": "x", "confidence": "high"}, "confidence"),
        ({"content": "x", "metadata": "{"}, "metadata"),
        ({"content": "x", "valid_from": "2027-01-01", "valid_to": "2026-01-01"}, "valid_to"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_lost(
    browser: httpx.Client, memory: Memory, fields: dict[str, str], said: str
) -> None:
    page = parsed(post(browser, "/ui/add", {"user_id": "adds-wrong", "tags": ["t1", "t2"], **fields}), 400)
    assert said in page.one("div", role="alert").text
    assert page.one("input", id="scope").attributes["value"] == fields.get("scope", "")
    assert [field.attributes.get("value", "") for field in page.all("input", name="tags")] == ["t1", "t2", ""]
    assert memory.count("adds-wrong") == 0


def test_a_key_adds_only_where_it_may_write(keyed_server: Running, keys: KeysFile, memory: Memory) -> None:
    memory.forget_user("adds-limited")
    memory.add(content="seen", user_id="adds-limited", scope="a")
    with keyed_server.client(headers=SAME) as client:
        sign_in(client, keys.create(app="reads", users=["adds-limited"], grants=["read:*"]))
        page = parsed(client.get("/ui/memories?user_id=adds-limited"))
        assert "seen" in page.text
        assert not links(page, "Add a memory")
        for button in ("Forget", "Restore", "Delete…"):
            assert button not in page.text
        sign_in(client, keys.create(app="writes", users=["adds-limited"], grants=["read:*", "write:a/**"]))
        assert links(parsed(client.get("/ui/memories?user_id=adds-limited")), "Add a memory")
        parsed(post(client, "/ui/add", {"user_id": "adds-limited", "content": "x", "scope": "b"}), 403)
        parsed(post(client, "/ui/add", {"user_id": "another", "content": "x", "scope": "a"}), 403)
        assert post(client, "/ui/add", {"user_id": "adds-limited", "content": "x", "scope": "a/b"}).status_code == 303
    assert memory.count("adds-limited") == 2
    assert memory.count("another") == 0


def test_a_backend_that_remembers_no_forms_stores_each() -> None:
    config = OmpServerConfig(provider="memory", settings={"embedder": "hashing"}, ui=True, loopback_only=True)
    with running(config) as server, server.client(headers=SAME) as client:
        fields = {"user_id": "m", "content": "tea", "once": "x"}
        for _ in range(2):
            assert post(client, "/ui/add", fields).status_code == 303
