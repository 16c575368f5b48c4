"""The stand-in for mem0's hosted service."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .service import Service


@pytest.fixture
def service() -> Iterator[Service]:
    """A stand-in without memories."""
    service = Service()
    service.start()
    try:
        yield service
    finally:
        service.stop()
