"""The stand-in for mem0's hosted service."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .service import Service


@pytest.fixture(scope="module")
def _service() -> Iterator[Service]:
    with Service() as service:
        yield service


@pytest.fixture
def service(_service: Service) -> Iterator[Service]:
    """A stand-in without memories."""
    _service.reset()
    yield _service
    _service.release.set()
