"""Variables that are meant for another database do not reach the embedded server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from openmem import AsyncMemory, Memory

from .conftest import Home

ENVIRONMENTS: dict[str, dict[str, str]] = {
    "another server": {"PGHOST": "a.invalid", "PGPORT": "1", "PGUSER": "nobody", "PGDATABASE": "none"},
    "another address": {"PGHOSTADDR": "127.0.0.9"},
    "Neon's": {"PGSSLMODE": "require", "PGCHANNELBINDING": "require"},
    "a verified server": {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/nowhere/root.pem"},
    "the system's authorities": {"PGSSLROOTCERT": "system"},
    "direct TLS": {"PGSSLNEGOTIATION": "direct"},
    "a certificate": {"PGSSLCERT": "/nowhere/a.pem", "PGSSLKEY": "/nowhere/a.key", "PGSSLCERTMODE": "require"},
    "Kerberos": {"PGGSSENCMODE": "require", "PGKRBSRVNAME": "none", "PGGSSLIB": "bogus"},
    "a login": {"PGREQUIREAUTH": "scram-sha-256", "PGPASSWORD": "secret"},
    "an owner": {"PGREQUIREPEER": "nobody"},
    "a standby": {"PGTARGETSESSIONATTRS": "standby", "PGLOADBALANCEHOSTS": "random"},
    "a vendor's option": {"PGOPTIONS": "endpoint=ep-cool-darkness-123456"},
    "read only": {"PGOPTIONS": "-c default_transaction_read_only=on"},
    "an encoding": {"PGCLIENTENCODING": "LATIN1", "PGTZ": "Asia/Tokyo", "PGDATESTYLE": "German"},
    "a service that nobody defines": {"PGSERVICE": "production"},
    "a service": {"PGSERVICE": "ours", "PGSERVICEFILE": "{services}"},
    "a newer protocol": {"PGMINPROTOCOLVERSION": "3.2", "PGMAXPROTOCOLVERSION": "latest"},
    "a time": {"PGCONNECT_TIMEOUT": "soon"},
}


@pytest.fixture
def running(home: Home) -> Iterator[Home]:
    """A home whose server runs."""
    with Memory("local", path=home.path, embedder="hashing"):
        yield home


def test_the_environment_does_not_count(running: Home, tmp_path: Path) -> None:
    services = tmp_path / "services"
    services.write_text("[ours]\nhost=a.invalid\nhostaddr=127.0.0.9\nsslmode=verify-full\nuser=nobody\ndbname=none\n")

    async def main() -> None:
        async with AsyncMemory("local", path=running.path, embedder="hashing", timeout=6) as memory:
            record = await memory.add(content="Zürich 茶", user_id="maya")
            assert await memory.get(record.id) == record

    for variables in ENVIRONMENTS.values():
        with pytest.MonkeyPatch.context() as environment:
            for name, value in variables.items():
                environment.setenv(name, value.format(services=services))
            with Memory("local", path=running.path, embedder="hashing", timeout=6) as memory:
                record = memory.add(content="Zürich 茶", user_id="maya")
                assert memory.get(record.id) == record
            asyncio.run(main())
