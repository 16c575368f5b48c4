"""Fixtures that every room of the tests uses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from . import ordering
from .servers import Server

# The same examples in every run, without time limits, since some go to a database. Loaded before any
# test is imported: @given keeps the settings it finds at that moment.
settings.register_profile(
    "openmem",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("openmem")


pytest_addoption = ordering.pytest_addoption
pytest_configure = ordering.pytest_configure


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL 18 server for the whole run; use databases or user ids of your own on it."""
    yield from _running(18)


@pytest.fixture(scope="session")
def server_16() -> Iterator[Server]:
    """A PostgreSQL 16 server for the whole run."""
    yield from _running(16)


@pytest.fixture
def database(server: Server) -> str:
    """The URL of a new, empty database."""
    return server.create_database()


@pytest.fixture(scope="session")
def url(server: Server) -> str:
    """The URL of one database that tests share, each with user ids of its own."""
    return server.create_database()


def _running(version: int) -> Iterator[Server]:
    server = Server(version)
    server.start()
    try:
        yield server
    finally:
        server.remove()
