"""Fixtures of this room."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from openmem.server import OmpServerConfig

from .harness import Running, running


@pytest.fixture(scope="session")
def settings(url: str) -> dict[str, object]:
    """A backend that tests share, each with user ids of its own."""
    return {"url": url, "embedder": "hashing"}


@pytest.fixture(scope="session")
def shared(settings: dict[str, object]) -> Iterator[Running]:
    """A server without keys over that backend."""
    with running(OmpServerConfig(settings=settings)) as server:
        yield server


@pytest.fixture(scope="session")
def client(shared: Running) -> Iterator[httpx.Client]:
    """A client of the shared server."""
    with shared.client() as client:
        yield client
