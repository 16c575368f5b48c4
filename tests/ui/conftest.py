"""Fixtures of this room."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from openmem import Memory
from openmem.server import OmpServerConfig
from openmem.server.keys import KeysFile

from ..server.harness import Running, running


@pytest.fixture(scope="session")
def settings(url: str) -> dict[str, object]:
    """A backend that tests share, each with user ids of its own."""
    return {"url": url, "embedder": "hashing"}


@pytest.fixture(scope="session")
def memory(settings: dict[str, object]) -> Iterator[Memory]:
    """A client of that backend, to put there what pages show."""
    with Memory("postgres", **settings, app="tests") as client:  # type: ignore[arg-type]
        yield client


@pytest.fixture(scope="session")
def open_server(settings: dict[str, object]) -> Iterator[Running]:
    """A server without keys over that backend, for this machine only."""
    with running(OmpServerConfig(settings=settings, ui=True, loopback_only=True)) as server:
        yield server


@pytest.fixture
def browser(open_server: Running) -> Iterator[httpx.Client]:
    """A client of the server without keys, with the headers of a browser's own page."""
    with open_server.client(headers={"Sec-Fetch-Site": "same-origin"}) as client:
        yield client


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeysFile:
    """The keys of the server with keys."""
    file = KeysFile(tmp_path_factory.mktemp("keys") / "keys.json")
    file.create(app="first")
    return file


@pytest.fixture(scope="session")
def keyed_server(settings: dict[str, object], keys: KeysFile) -> Iterator[Running]:
    """A server with keys over that backend."""
    with running(OmpServerConfig(settings=settings, ui=True, keys_file=keys.path)) as server:
        yield server
