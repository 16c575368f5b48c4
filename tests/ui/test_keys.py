"""The page of API keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from openmem.server import OmpServerConfig
from openmem.server.keys import KeysFile

from ..server.harness import Running, running
from .pages import parsed, post, sign_in

SAME = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def file(tmp_path: Path) -> KeysFile:
    return KeysFile(tmp_path / "keys.json")


@pytest.fixture
def owner(settings: dict[str, object], file: KeysFile) -> Iterator[httpx.Client]:
    """Who is signed in with a key for everything."""
    key = file.create(app="owner")
    config = OmpServerConfig(settings=settings, ui=True, keys_file=file.path, keys=["from-the-environment-0000"])
    with running(config) as server, server.client(headers=SAME) as client:
        sign_in(client, key)
        yield client


def test_a_key_is_made_shown_once_and_good(owner: httpx.Client, file: KeysFile) -> None:
    fields = {"app": "chat ‮x", "users": "maya\n  noor \n", "grants": "read:*\nwrite:chat/*", "expires": "90d"}
    page = parsed(post(owner, "/ui/keys", fields))
    key = page.one("input", id="key").attributes["value"]
    stored = file.read().keys[-1]
    assert stored.users == ("maya", "noor")
    assert stored.grants == ("read:*", "write:chat/*")
    assert stored.expires_at is not None
    listed = owner.get("/ui/keys").text
    assert stored.id in listed
    assert key not in listed
    assert "‮" not in listed
    answer = owner.get("/memories/count", params={"user_id": "maya"}, headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"app": ""}, "app: is required"),
        ({"app": "a", "grants": "eat:*"}, "'eat:*' is not of the form"),
        ({"app": "a", "expires": "soon"}, "expires: "),
    ],
)
def test_what_is_wrong_is_said_above_what_was_typed(
    owner: httpx.Client, file: KeysFile, fields: dict[str, str], said: str
) -> None:
    page = parsed(post(owner, "/ui/keys", fields | {"users": "maya"}), 400)
    alert = page.one("div", role="alert").text
    assert said in alert
    assert "--" not in alert
    assert page.one("textarea", id="users").text == "maya"
    assert len(file.read().keys) == 1


def test_a_key_is_revoked_after_a_question(owner: httpx.Client, file: KeysFile) -> None:
    file.create(app="lost")
    id = file.read().keys[-1].id
    question = parsed(owner.get("/ui/keys", params={}))
    assert [link for link in question.all("a") if link.attributes["href"] == f"/ui/keys/revoke?id={id}"]
    page = parsed(owner.get(f"/ui/keys/revoke?id={id}"))
    assert "lost" in page.text
    assert "you are signed in with this key" not in page.text.lower()
    assert len(file.read().keys) == 2
    answer = post(owner, "/ui/keys/revoke", {"id": page.one("input", name="id").attributes["value"]})
    assert "The key is revoked." in parsed(owner.get(answer.headers["location"])).text
    assert [key.app for key in file.read().keys] == ["owner"]
    parsed(post(owner, "/ui/keys/revoke", {"id": id}), 400)


def test_revoking_the_own_key_signs_out(owner: httpx.Client, file: KeysFile) -> None:
    id = file.read().keys[0].id
    assert "will be signed out" in parsed(owner.get(f"/ui/keys/revoke?id={id}")).text
    assert post(owner, "/ui/keys/revoke", {"id": id}).status_code == 303
    assert owner.get("/ui/keys").headers["location"].startswith("/ui/login")


@pytest.mark.parametrize("limits", [{"users": ["maya"]}, {"grants": ["read:*", "write:*"]}])
def test_other_keys_see_and_change_none(keyed_server: Running, keys: KeysFile, limits: dict[str, list[str]]) -> None:
    with keyed_server.client(headers=SAME) as client:
        sign_in(client, keys.create(app="a", **limits))  # type: ignore[arg-type]
        before = keys.read()
        for path in ("/ui/keys", "/ui/keys/revoke?id=x", "/ui/status"):
            page = parsed(client.get(path), 403)
            assert "yours is limited" in page.one("div", role="alert").text
        for path in ("/ui/keys", "/ui/keys/revoke", "/ui/status"):
            assert post(client, path, {"app": "a", "id": before.keys[0].id, "action": "reembed"}).status_code == 403
        assert keys.read() == before
        links = [link.attributes["href"] for link in parsed(client.get("/ui/transfer")).all("a")]
        assert "/ui/keys" not in links


def test_without_a_file_the_page_says_what_to_do(browser: httpx.Client) -> None:
    page = parsed(browser.get("/ui/keys"))
    assert "--keys-file" in page.text
    assert not list(page.all("form", method="post"))
    parsed(post(browser, "/ui/keys", {"app": "a"}), 400)


def test_a_damaged_file_is_an_error_and_no_empty_list(owner: httpx.Client, file: KeysFile) -> None:
    good = file.path.read_bytes()
    try:
        file.path.write_text("{")
        assert owner.get("/ui/keys").status_code in (303, 400)
    finally:
        file.path.write_bytes(good)
