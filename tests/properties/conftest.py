"""The same examples in every run, without time limits: each one goes to a database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from openmem import Memory

settings.register_profile(
    "openmem",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.fixture(autouse=True, scope="package")
def _profile() -> Iterator[None]:
    before = settings.get_current_profile_name()
    settings.load_profile("openmem")
    yield
    settings.load_profile(before)


@pytest.fixture(scope="package")
def memory(url: str) -> Iterator[Memory]:
    """One client for all examples; each has users of its own."""
    with Memory(url=url, embedder="hashing") as client:
        yield client
