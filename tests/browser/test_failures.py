"""That nobody is kept out of the pages of what failed, in whole or in part: each by axe, and on a narrow screen."""

from __future__ import annotations

import re
import socket
from typing import Any
from urllib.parse import quote

import pytest

from openmem.server import OmpServerConfig

from ..server.harness import running
from .conftest import Site, whole
from .tabs import Look, Tab, tab
from .test_flows import wait_for_end

pytestmark = whole

REFUSED = {
    "no-user": ("/ui/memories", 400),
    "cursor": ("/ui/memories?user_id=maya&cursor=x", 400),
    "score": ("/ui/search?user_id=maya&q=x&min_score=7", 400),
    "skip": ("/ui/audit?user_id=maya&skip=x", 400),
    "field": ("/ui/facets?user_id=maya&by=nope", 400),
    "key": ("/ui/keys/revoke?id=x", 400),
    "method": ("/ui/logout", 405),
    "memory": ("/ui/memory?id=mem_1&user_id=maya", 404),
    "edit": ("/ui/edit?id=mem_1&user_id=maya", 404),
    "job": ("/ui/import/job?id=x", 404),
    "page": ("/ui/nothing", 404),
}
"""Addresses that are answered by an error, and its status."""


def check(seen: Tab) -> None:
    """Look at a page, which must show an error."""
    assert seen.alert
    assert seen.barriers() == []
    assert not seen.scrolls_sideways()


def expect_errors(seen: Tab) -> None:
    """Chromium writes the status of pages with an error on the console."""
    seen.complaints = [text for text in seen.complaints if not re.search(r"a status of (4|5)\d\d", text)]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(site: Site, seen: Look, name: str) -> None:
    path, status = REFUSED[name]
    with site.tab(seen) as found:
        assert found.open(path) == status
        check(found)
        expect_errors(found)


def test_what_a_key_may_not_do(site: Site, seen: Look) -> None:
    limited = site.keys.create(app="narrow", users=["noor", "wei"], grants=["read:notes"])
    with site.tab(seen, limited) as found:
        assert found.barriers() == []
        for path in ("/ui/keys", "/ui/status", "/ui/memories?user_id=maya", "/ui/audit?user_id=maya"):
            assert found.open(path) == 403
            check(found)
        assert found.open("/ui/transfer") == 200
        assert found.barriers() == []
    with tab(site.browser, seen, site.url) as found:
        found.sign_in("omk_wrong")
        check(found)


def test_what_nobody_is_signed_in_for(site: Site, seen: Look, user: str) -> None:
    key = site.keys.create(app="left open", users=[user])
    with tab(site.browser, seen, site.url) as found:
        found.sign_in(key)
        found.page.get_by_label("Tick memory 1", exact=True).check()
        site.keys.revoke(key.split("_")[1])
        found.press("Forget")
        check(found)


def test_forms_that_are_refused(site: Site, seen: Look, user: str) -> None:
    [record, *_] = site.memory.list(user, limit=1)
    with site.tab(seen) as found:
        found.open(f"/ui/memories?user_id={quote(user)}")
        found.press("Forget")
        check(found)
        found.open(f"/ui/edit?id={record.id}&user_id={quote(user)}")
        found.fill("Metadata, as a JSON object", "{")
        found.press("Save")
        check(found)
        site.memory.update(record.id, content="changed meanwhile")
        found.fill("Metadata, as a JSON object", "")
        found.fill("Text", "changed here")
        found.press("Save")
        assert "version" in found.alert
        check(found)
        found.open(f"/ui/add?user_id={quote(user)}")
        found.fill("Text", "new")
        found.fill("Scope", "//")
        found.press("Add")
        check(found)
        found.open("/ui/transfer")
        form = found.page.get_by_role("form", name="Export")
        form.get_by_label("Format").select_option("pam")
        form.get_by_role("button", name="Export").click()
        found.settle()
        assert "one user" in found.alert
        check(found)


def test_what_is_done_in_part(site: Site, seen: Look, user: str) -> None:
    with site.tab(seen) as found:
        for action, done in (("Forget", "forgotten"), ("Restore", "valid again")):
            found.open(f"/ui/memories?user_id={quote(user)}")
            found.page.get_by_label("Tick all on this page").check()
            [gone, *_] = site.memory.list(user, limit=1)
            site.memory.delete(gone.id)
            found.press(action)
            assert re.search(rf"\d+ of \d+ memories are (forgotten|restored)|{done}", found.alert)
            assert found.page.get_by_role("heading", name="Not ").count() == 1
            check(found)
        expect_errors(found)


def upload(seen: Tab, user: str, text: bytes, *, format: str = "text", store: bool = False) -> None:
    """Send a file by the form of the page."""
    seen.open("/ui/transfer")
    file = {"name": "notes \u202etxt", "mimeType": "text/plain", "buffer": text}
    seen.page.get_by_label("File", exact=True).set_input_files([file])
    seen.page.get_by_role("form", name="Import").get_by_label("Format", exact=True).select_option(format)
    seen.fill("User, for records that name none", user)
    if store:
        seen.page.get_by_label("Store the memories").check()
    seen.press("Import")


def test_an_import_in_part(site: Site, seen: Look, user: str) -> None:
    lines = b'{"memory": "one"}\n{"memory": 5}\n{\n'
    with site.tab(seen) as found:
        upload(found, user, lines, format="mem0", store=True)
        wait_for_end(found)
        assert "invalid" in found.text
        assert found.barriers() == []
        assert not found.scrolls_sideways()
        upload(found, user, b"no archive", format="hindsight")
        found.page.get_by_role("alert").wait_for()
        check(found)
        upload(found, user, b"- fact\n" * 200_000, store=True)
        assert found.barriers() == []
        found.press("Stop")
        assert "stopped before its end" in found.alert
        check(found)
        found.open("/ui/transfer")
        assert found.barriers() == []
        found.open("/ui/status")
        assert "stopped before its end" in found.text
        assert found.barriers() == []


def test_a_backend_that_is_away(browser: Any, seen: Look) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    settings = {"url": f"postgresql://127.0.0.1:{port}/away", "embedder": "hashing"}
    with (
        running(OmpServerConfig(settings=settings, ui=True, loopback_only=True)) as server,
        tab(browser, seen, server.url) as found,
    ):
        for path in ("/ui/users", "/ui/memories?user_id=maya", "/ui/status"):
            assert found.open(path) == 503
            check(found)


def test_an_address_that_was_opened_before(browser: Any, seen: Look) -> None:
    config = OmpServerConfig(
        provider="memory", settings={"embedder": "hashing"}, ui=True, keys=["k" * 43], loopback_only=True,
        ui_ticket="t" * 43,
    )  # fmt: skip
    with running(config) as server, tab(browser, seen, server.url) as found:
        assert found.open(f"/ui/open?ticket={'x' * 43}") == 401
        check(found)
        found.open("/ui/users")
        assert found.barriers() == []
