"""The page of the HTTP API, ``/docs``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from openmem.server import OmpServerConfig

from ..server.harness import Running, running
from .tabs import Look, tab


@pytest.fixture(scope="module")
def site() -> Iterator[Running]:
    with running(OmpServerConfig(provider="memory", settings={"embedder": "hashing"})) as server:
        yield server


def test_has_no_barriers(browser: Any, site: Running, seen: Look) -> None:
    with tab(browser, seen, site.url) as found:
        assert found.open("/docs") == 200
        assert found.barriers() == []
        assert found.complaints == []
