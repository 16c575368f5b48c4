"""One client for the properties."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from openmem import Memory


@pytest.fixture(scope="package")
def memory(url: str) -> Iterator[Memory]:
    """One client for all examples; each has users of its own."""
    with Memory(url=url, embedder="hashing") as client:
        yield client
