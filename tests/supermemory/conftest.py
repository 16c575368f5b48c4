"""The stand-in for the service, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from openmem import Memory, _retrying
from openmem.providers import base
from openmem.providers.vendors.supermemory import provider

from .service import KEY, Service


@pytest.fixture(scope="package")
def running() -> Iterator[Service]:
    """One service for all tests."""
    with Service() as service:
        yield service


@pytest.fixture
def service(running: Service) -> Service:
    """A service without documents."""
    running.reset()
    return running


@pytest.fixture(scope="package")
def client(running: Service) -> Iterator[Memory]:
    """One client for all tests, since making one takes longer than most of them."""
    with Memory(provider="supermemory", host=running.url, api_key=KEY) as memory:
        yield memory


@pytest.fixture
def memory(client: Memory, service: Service) -> Memory:
    """A client of the service."""
    return client


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between tries are kept short."""
    monkeypatch.setattr(_retrying, "FIRST_DELAY_SECONDS", 0.001)
    monkeypatch.setattr(base, "POLL_INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr(provider, "BUSY_PAUSES_SECONDS", (0.001, 0.001, 0.001))
