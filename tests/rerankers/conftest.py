from __future__ import annotations

from collections.abc import Iterator

import pytest

from .service import KEY, Service


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    with Service() as service:
        yield service


@pytest.fixture
def service(running: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """The service in its first state, which the environment names as Cohere's."""
    running.reset()
    monkeypatch.setenv("CO_API_URL", running.url)
    monkeypatch.setenv("CO_API_KEY", KEY)
    return running
