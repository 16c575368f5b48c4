"""Backends that the tests of this room share, each with user ids of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from openmem import Memory

from ..servers import Server


@pytest.fixture(scope="module")
def store(server: Server) -> Iterator[Memory]:
    """A store in PostgreSQL."""
    with Memory("postgres", url=server.create_database(), embedder="hashing") as memory:
        yield memory


@pytest.fixture(scope="module")
def other(server: Server) -> Iterator[Memory]:
    """Another one."""
    with Memory("postgres", url=server.create_database(), embedder="hashing") as memory:
        yield memory


@pytest.fixture
def empty(server: Server) -> Iterator[Memory]:
    """A store in PostgreSQL without memories."""
    with Memory("postgres", url=server.create_database(), embedder="hashing") as memory:
        yield memory
