"""The stand-in for the service."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .service import Service


@pytest.fixture
def service() -> Iterator[Service]:
    """A service without documents."""
    service = Service()
    service.start()
    try:
        yield service
    finally:
        service.stop()
