"""These tests need PgBouncer, which no wheel brings along; `make test-pgbouncer` runs them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ..servers import Server
from .pooler import Pooler

collect_ignore_glob = [] if "OPENMEM_TEST_PGBOUNCER" in os.environ else ["test_*.py"]


@pytest.fixture(scope="session")
def pooler(server: Server) -> Iterator[Pooler]:
    pooler = Pooler(server)
    try:
        yield pooler
    finally:
        pooler.close()
