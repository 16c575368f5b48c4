"""Fixtures of the fault tests."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from ..proxy import Proxy
from ..servers import Server
from .harness import Database


@pytest.fixture(autouse=True)
def no_leaks() -> Iterator[None]:
    """Make what a test left open complain during that test."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def shared(server: Server) -> Iterator[Database]:
    """The database of all fault tests; `db` empties it for each."""
    view = Database(server.create_database())
    yield view
    view.close()


@pytest.fixture
def db(shared: Database) -> Database:
    """A database with one memory in it, and no client connected."""
    shared.reset()
    return shared


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """A network to the server that can fail."""
    with Proxy(server.port) as proxy:
        yield proxy
