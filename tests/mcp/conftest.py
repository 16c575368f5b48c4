"""Fixtures of this room."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

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
def open_server(settings: dict[str, object]) -> Iterator[Running]:
    """A server without keys over that backend, for this machine only."""
    with running(OmpServerConfig(settings=settings, mcp=True, mcp_chatgpt=True, loopback_only=True)) as server:
        yield server


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeysFile:
    """The keys of the server with keys."""
    file = KeysFile(tmp_path_factory.mktemp("keys") / "keys.json")
    file.create(app="first")
    return file


@pytest.fixture(scope="session")
def keyed_server(settings: dict[str, object], keys: KeysFile) -> Iterator[Running]:
    """A server with keys over that backend."""
    config = OmpServerConfig(settings=settings, mcp=True, keys_file=keys.path, cors_origins=["https://host.example"])
    with running(config) as server:
        yield server


@pytest.fixture(scope="session")
def store() -> Iterator[Path]:
    """The directory of an embedded server that runs as long as the tests of this room."""
    with tempfile.TemporaryDirectory(prefix="om-") as name:
        Path(name).chmod(0o711)
        path = Path(name, "store")
        with Memory("local", path=path, embedder="hashing"):
            yield path
