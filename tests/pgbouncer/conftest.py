"""These tests need PgBouncer, which no wheel brings along; `make test-pgbouncer` runs them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ..servers import Server
from .pooler import Pooler


@pytest.fixture(scope="session")
def pooler(server: Server) -> Iterator[Pooler]:
    if "OPENMEM_TEST_PGBOUNCER" not in os.environ:
        pytest.skip("make test-pgbouncer runs it")
    pooler = Pooler(server)
    try:
        yield pooler
    finally:
        pooler.close()
