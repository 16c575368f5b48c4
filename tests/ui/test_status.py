"""The page of the server's status."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx
import pytest

from openmem import Memory
from openmem.models import CapabilityFeatures, CapabilityLimits
from openmem.server import OmpServerConfig
from openmem.ui.wording import LABELS, worded

from ..server.harness import running
from ..servers import Server
from .pages import Element, parsed, post

SAME = {"Sec-Fetch-Site": "same-origin"}


def until(client: httpx.Client, path: str, is_there: Callable[[Element], bool]) -> Element:
    """The page once it is as wanted; it is asked for again and again, as a person would."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        page = parsed(client.get(path))
        if is_there(page):
            return page
    raise AssertionError(page.text)


def test_tells_what_the_backend_is_and_can_do(browser: httpx.Client) -> None:
    page = parsed(browser.get("/ui/status"))
    for expected in (
        "postgres",
        "pgvector",
        "hashing",
        "PostgreSQL",
        "busy",
        "get_by_key",
        "OMP version",
        "Searches by meaning",
    ):
        assert expected in page.text
    assert "_" not in "".join(label.text for label in page.all("dt"))


def test_there_are_words_for_everything_that_a_backend_can_do() -> None:
    assert {*CapabilityFeatures.model_fields, *CapabilityLimits.model_fields} <= LABELS.keys()
    assert worded({"answered_in_ms": 1234.5, "supports_e2e": False, "scores": "rank", "keys": None, "new_one": 1}) == {
        "Answered in": "1,234.5 ms",
        "End-to-end encryption": "no",
        "Scores": "give the order only",
        "New one": "1",
    }


def test_memories_are_embedded_again_with_progress(database: str) -> None:
    with Memory(url=database, embedder="hashing") as memory:
        memory.add_many([{"content": f"memory {number}", "user_id": "u"} for number in range(600)])
    config = OmpServerConfig(settings={"url": database, "embedder": "wordllama"}, ui=True, loopback_only=True)
    with running(config) as server, server.client(headers=SAME) as client:
        page = parsed(client.get("/ui/status"))
        assert "600 memories were embedded by another model" in page.text
        assert post(client, "/ui/status", {"action": "reembed"}).headers["location"] == "/ui/status"
        page = until(client, "/ui/status", lambda page: not list(page.all("progress")))
        assert "All memories are embedded by this model." in page.text
    with Memory(url=database, embedder="wordllama") as memory:
        assert memory.search("memory 17", "u", limit=1)[0].memory.content == "memory 17"


@pytest.mark.parametrize("action", ["", "purge", "stop"])
def test_an_unknown_action_is_refused(browser: httpx.Client, action: str) -> None:
    parsed(post(browser, "/ui/status", {"action": action}), 400)


def test_a_backend_that_does_not_answer_is_an_error() -> None:
    server = Server()
    server.start()
    try:
        config = OmpServerConfig(
            settings={"url": server.url(), "embedder": "hashing", "pool_timeout": 2}, ui=True, loopback_only=True
        )
        with running(config) as running_server, running_server.client(headers=SAME) as client:
            assert client.get("/ui/status").status_code == 200
            server.stop()
            page = parsed(client.get("/ui/status"), 503)
            assert "the backend is not available" in page.one("div", role="alert").text
            assert "127.0.0.1" not in page.text
    finally:
        server.remove()
