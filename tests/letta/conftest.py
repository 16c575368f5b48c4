"""The stand-in for Letta's server, and the server that the environment names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from openmem import Memory, _retrying

from .backends import NAME, Backend, running_backend
from .service import CONFIG, Service


@pytest.fixture(scope="session")
def _service() -> Iterator[Service]:
    with Service() as service:
        yield service


@pytest.fixture
def service(_service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A stand-in without archives; pauses between tries are short."""
    _service.reset()
    monkeypatch.setattr(_retrying, "FIRST_DELAY_SECONDS", 0.001)
    yield _service
    _service.release.set()


@pytest.fixture(scope="session")
def _memory(_service: Service) -> Iterator[Memory]:
    with Memory("letta", host=_service.url, embedding_config=CONFIG) as memory:
        yield memory


@pytest.fixture
def memory(service: Service, _memory: Memory) -> Memory:
    """A client of the stand-in."""
    return _memory


@pytest.fixture(scope="session", params=[NAME])
def backend() -> Iterator[Backend]:
    """The real server, or a stand-in that is as good."""
    with running_backend() as backend:
        yield backend
