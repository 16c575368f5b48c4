"""Fixtures of the integrations' tests."""

from __future__ import annotations

import gc
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from openmem.integrations import MemoryClients

from ..servers import free_port

Connections = Callable[[], int]


@pytest.fixture(autouse=True)
def no_leaks(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Make what a test left open complain during that test, and whatever asyncio complains of fail it."""
    yield
    gc.collect()
    said = [record for when in ("setup", "call") for record in caplog.get_records(when) if record.name == "asyncio"]
    assert [record.getMessage() for record in said if record.levelname == "ERROR"] == []


@pytest.fixture
def settings(url: str) -> dict[str, object]:
    """Of a client on a database that tests share, each with users of its own."""
    return {"url": url, "embedder": "hashing"}


@pytest.fixture
def own_settings(database: str) -> dict[str, object]:
    """Of a client on a new database."""
    return {"url": database, "embedder": "hashing"}


@pytest.fixture
def no_connections(database: str) -> Callable[[], None]:
    """Waits until nobody is connected to the new database but the one who asks."""
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

    def wait() -> None:
        deadline = time.monotonic() + 5
        with psycopg.connect(database, autocommit=True) as connection:
            left = connection.execute(count).fetchone()
            while left != (0,):
                assert time.monotonic() < deadline, left
                left = connection.execute(count).fetchone()

    return wait


@pytest.fixture
def user() -> str:
    """A user whom no other test knows."""
    return f"user-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def clients(settings: dict[str, Any]) -> Iterator[MemoryClients]:
    """Clients on the database that tests share."""
    with MemoryClients(**settings) as clients:
        yield clients


@pytest.fixture
def dead() -> Iterator[MemoryClients]:
    """Clients of a server that does not listen."""
    with MemoryClients(url=f"postgresql://127.0.0.1:{free_port()}/x", embedder="hashing", timeout=1.0) as clients:
        yield clients
