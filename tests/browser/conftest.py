"""Fixtures of this room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest

from openmem import Memory
from openmem.server import OmpServerConfig
from openmem.server.keys import KeysFile

from ..server.harness import Running, running
from ..servers import Server
from . import people
from .chromium import launched, missing
from .tabs import EVERY_LOOK, SOME_LOOKS, Look, Tab, tab

WHOLE_VARIABLE: Final = "OPENMEM_TEST_UI"
IS_WHOLE: Final = os.environ.get(WHOLE_VARIABLE) == "whole"
"""Whether every look is tried, and a missing browser is a failure."""

whole = pytest.mark.skipif(not IS_WHOLE, reason="only make test-ui runs it")
"""Of tests that are not worth their time in every run."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "look" in metafunc.fixturenames:
        one = SOME_LOOKS[len(metafunc.function.__name__) % len(SOME_LOOKS)]
        metafunc.parametrize("look", EVERY_LOOK if IS_WHOLE else [one], ids=str)
    if "seen" in metafunc.fixturenames:
        looks = [look for look in EVERY_LOOK if look.scripts]
        metafunc.parametrize("seen", looks if IS_WHOLE else looks[:1], ids=str)


# Of a module, not of the run: Playwright keeps an event loop running in the thread, where other tests need their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A running Chromium."""
    reason = missing()
    if reason is not None and IS_WHOLE:
        pytest.fail(reason)
    if reason is not None:
        pytest.skip(reason)
    with launched() as found:
        yield found


@dataclass
class Site:
    """A server with keys, and what tests need of it.

    Attributes:
        url: where it is.
        memory: a client of its backend.
        keys: its keys.
        key: a key for everything.
    """

    url: str
    memory: Memory
    keys: KeysFile
    key: str
    browser: Any

    @contextmanager
    def tab(self, look: Look, key: str | None = None, **options: Any) -> Iterator[Tab]:
        """A tab that is signed in with a key; at the end the browser must not have complained of anything."""
        with tab(self.browser, look, self.url, **options) as found:
            found.sign_in(key or self.key)
            yield found
            assert found.complaints == []


@pytest.fixture(scope="session")
def settings(server: Server) -> dict[str, Any]:
    """A backend of this room alone, since pages show all users."""
    return {"url": server.create_database(), "embedder": "hashing"}


@pytest.fixture(scope="session")
def filled(settings: dict[str, Any]) -> Iterator[Memory]:
    """A client of the backend, in which there is something to see."""
    with Memory("postgres", **settings, app="chat") as memory:
        people.fill(memory)
        people.fill_others(memory)
        yield memory


@pytest.fixture(scope="session")
def served(
    settings: dict[str, Any], filled: Memory, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Running, KeysFile, str]]:
    """The server, its keys, and a key for everything."""
    keys = KeysFile(tmp_path_factory.mktemp("keys") / "keys.json")
    key = keys.create(app="owner")
    with running(OmpServerConfig(settings=settings, ui=True, keys_file=keys.path)) as server:
        yield server, keys, key


@pytest.fixture(scope="module")
def site(browser: Any, served: tuple[Running, KeysFile, str], filled: Memory) -> Site:
    """The server as seen from a browser."""
    server, keys, key = served
    return Site(server.url, filled, keys, key, browser)


@pytest.fixture
def user(site: Site, request: pytest.FixtureRequest) -> str:
    """A user of a test's own, with memories."""
    name = f"maya {request.node.name}"
    people.fill(site.memory, maya=name)
    return name
