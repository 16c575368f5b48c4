"""That a limited key sees and does nothing else, on any page: every route is walked with every kind of key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from openmem import Memory
from openmem.server.keys import KeysFile
from openmem.ui.routes import PAGES

from ..server.harness import Running
from .pages import post, sign_in

SAME = {"Sec-Fetch-Site": "same-origin"}
MINE, THEIRS = "limits-mine", "limits-theirs"
HIDDEN = "zanzibar"
"""A word in everything that nobody with a limited key may see."""


@dataclass(frozen=True)
class Place:
    """Where a memory is that a key may not touch."""

    user: str
    id: str


KEYS: dict[str, dict[str, Any]] = {
    "user": {"users": [MINE]},
    "user-and-scope": {"users": [MINE], "grants": ["read:open/**", "write:open/**", "delete:open/**"]},
    "scope": {"grants": ["read:open/**", "write:open/**", "delete:open/**"]},
    "reads": {"users": [MINE], "grants": ["read:open"]},
    "writes": {"users": [MINE], "grants": ["write:open"]},
    "deletes": {"users": [MINE], "grants": ["delete:open"]},
    "nothing": {"grants": []},
}


ACTIONS = {
    "memories": ("forget", "restore", "delete"),
    "edit": ("save", "replace"),
    "import/job": ("store", "stop"),
    "status": ("reembed", "stop"),
}
"""What the buttons of a page's form can ask for, where there are several."""


@pytest.fixture(params=KEYS)
def kind(request: pytest.FixtureRequest) -> str:
    """The name of a kind of key."""
    name: str = request.param
    return name


@pytest.fixture
def places(memory: Memory, kind: str) -> Iterator[list[Place]]:
    """The memories that a key of this kind may neither see nor change."""
    for user in (MINE, THEIRS):
        memory.forget_user(user)
    memory.add(content="seen", user_id=MINE, scope="open", tags=["t"], metadata={"k": "v"})
    hidden: dict[str, Any] = {
        "content": f"the {HIDDEN} plan", "tags": [HIDDEN], "metadata": {HIDDEN: HIDDEN}, "scope": f"secret/{HIDDEN}",
        "source": {"app": HIDDEN},
    }  # fmt: skip
    users = [THEIRS] if kind == "user" else [MINE, THEIRS]
    first = [memory.add(user_id=user, key="k", **hidden) for user in users]
    for record in first:
        memory.add(user_id=record.user_id, supersedes=[record.id], **hidden)
    yield [Place(record.user_id, record.id) for record in first]
    for user in (MINE, THEIRS):
        memory.forget_user(user)


def state(memory: Memory) -> list[Any]:
    """All that is stored."""
    return [record.to_wire() for user in (MINE, THEIRS) for record in memory.iterate(user)]


def test_no_page_shows_what_a_key_may_not_see(
    keyed_server: Running, keys: KeysFile, places: list[Place], kind: str
) -> None:
    with keyed_server.client(headers=SAME) as client:
        sign_in(client, keys.create(app="walks", **KEYS[kind]))
        for place in places:
            for page in PAGES:
                if page.get is None:
                    continue
                for query in (
                    {"user_id": place.user},
                    {"user_id": place.user, "id": place.id},
                    {"id": place.id},
                    {"user_id": MINE, "id": place.id},
                    {"user_id": place.user, "q": "plan", "by": "tag", "prefix": "limits-"},
                    {"user_id": place.user, "q": "plan", "scope": "secret/**", "valid": "now"},
                ):
                    answer = client.get(f"/ui/{page.path}", params=query)
                    assert answer.status_code in (200, 303, 400, 403, 404), (page.path, query, answer.status_code)
                    assert HIDDEN not in answer.text, (page.path, query)
                    if answer.status_code == 303:
                        assert HIDDEN not in client.get(answer.headers["location"]).text


def test_no_form_changes_or_tells_what_a_key_may_not_touch(
    keyed_server: Running, keys: KeysFile, places: list[Place], memory: Memory, kind: str
) -> None:
    before, stored_keys = state(memory), None
    with keyed_server.client(headers=SAME) as client:
        sign_in(client, keys.create(app="walks", **KEYS[kind]))
        stored_keys = keys.read()
        for place in places:
            common = {"user_id": place.user, "id": place.id, "ids": place.id, "app": "x", "scope": "secret/more"}
            for page in PAGES:
                if page.post is None or page.takes_upload:
                    continue
                for action in ACTIONS.get(page.path, ("",)):
                    for user in (place.user, MINE):
                        # Who may act for a user may add memories.
                        content = "" if kind == "user" and user == MINE else "taken over"
                        fields = common | {"user_id": user, "content": content, "action": action, "confirmed": "yes"}
                        answer = post(client, f"/ui/{page.path}", fields)
                        assert answer.status_code in (200, 303, 400, 403, 404), (page.path, action)
                        assert HIDDEN not in answer.text, (page.path, action)
            for form in ({"user_id": place.user}, {}):
                answer = client.post(
                    "/ui/import",
                    data={"format": "text", "mode": "store", "scope_prefix": "secret", **form},
                    files={"file": ("f", b"- planted\n")},
                )
                assert answer.status_code in (303, 400, 403, 503)
    assert keys.read() == stored_keys
    after = state(memory)
    assert [record for record in after if record["content"] in ("taken over", "planted")] == []
    assert after == before


def test_a_form_without_a_session_changes_nothing(keyed_server: Running, memory: Memory) -> None:
    memory.forget_user(MINE)
    record = memory.add(content="seen", user_id=MINE)
    fields = {"user_id": MINE, "ids": record.id, "id": record.id, "action": "forget"}
    with keyed_server.client(headers=SAME) as client:
        for page in PAGES:
            if page.post is not None and not page.takes_upload:
                assert post(client, f"/ui/{page.path}", fields).status_code == 401
            if page.get is not None:
                answer = client.get(f"/ui/{page.path}", params=fields)
                assert (answer.status_code, answer.text) == (303, "")
                assert answer.headers["location"].startswith("/ui/login?next=%2Fui%2F")
        assert client.post("/ui/import", data=fields, files={"file": ("f", b"- planted")}).status_code == 401
    assert memory.list(MINE).items == [record]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_other_methods_do_nothing(keyed_server: Running, keys: KeysFile, method: str) -> None:
    with keyed_server.client(headers=SAME) as client:
        sign_in(client, keys.create(app="walks"))
        for page in PAGES:
            answer = client.request(method, f"/ui/{page.path}")
            assert answer.status_code == 405, page.path
            assert answer.headers["allow"]


def test_the_head_of_a_page_has_no_body(keyed_server: Running, keys: KeysFile) -> None:
    with keyed_server.client(headers=SAME) as client:
        sign_in(client, keys.create(app="walks"))
        answer: httpx.Response = client.head("/ui/users")
        assert (answer.status_code, answer.content) == (200, b"")
