"""A database whose tables are older than keys, versions and metadata: it keeps every row, and stays in use."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from openmem import AsyncMemory, Memory, MemoryRecord
from openmem.operations import Add
from openmem.ports import run_blocking
from openmem.providers.base import Call
from openmem.providers.postgres.migrations import MIGRATIONS

from ..docs.pages import blocks

_, CONVERSION = [block.source for block in blocks("docs/scaling.md") if block.language == "sql"]
STORES = Path(__file__).parent / "stores"
RECORDS = [MemoryRecord.model_validate(fields) for fields in json.loads((STORES / "version_5.json").read_bytes())]
KEPT = [record.model_copy(update={"version": 1}) for record in RECORDS]


@pytest.fixture(params=["server", "server_16"])
def old(request: pytest.FixtureRequest) -> str:
    """The URL of a database at version 5 of the tables."""
    url: str = request.getfixturevalue(request.param).create_database()
    with psycopg.connect(url) as connection:
        connection.execute((STORES / "version_5.sql").read_bytes())
        connection.execute("UPDATE openmem.idempotency_keys SET at = now()")
    return url


def ask(url: str, sql: str) -> Any:
    """The value that a query gives."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(sql.encode()).fetchone()
    assert row is not None
    return row[0]


def upgrade(url: str) -> list[MemoryRecord]:
    """Open a client, and list what there is."""
    with Memory(url=url, embedder="hashing") as memory:
        return [*memory.list("maya").items, *memory.list("noor").items]


async def upgrade_too(url: str) -> list[MemoryRecord]:
    """The same with an asynchronous client."""
    async with AsyncMemory(url=url, embedder="hashing") as memory:
        return [*(await memory.list("maya")).items, *(await memory.list("noor")).items]


def test_every_row_is_kept(old: str) -> None:
    entries = ask(old, "SELECT count(*) FROM openmem.audit_log")
    file = ask(old, "SELECT pg_relation_filenode('openmem.memories')")
    assert upgrade(old) == KEPT
    assert ask(old, "SELECT max(version) FROM openmem.migrations") == len(MIGRATIONS)
    assert ask(old, "SELECT count(*) FROM openmem.audit_log") == entries + 2
    # A table that is written anew is locked meanwhile.
    assert ask(old, "SELECT pg_relation_filenode('openmem.memories')") == file
    with Memory(url=old, embedder="hashing") as memory:
        hits = memory.search("Where does Maya live?", user_id="maya")
        assert hits[0].memory.content == "Maya lives in Porto"
        [once] = [record for record in KEPT if record.content == "stored once"]
        call = Call("request", idempotency_key="once")
        assert run_blocking(memory.client.run(Add(content="stored once", user_id="noor"), call)) == once
        changed = memory.update(KEPT[0].id, tags=["drink"])
        assert changed.version == 2


def test_a_partitioned_one_is_upgraded(old: str) -> None:
    with psycopg.connect(old, autocommit=True) as admin:
        admin.execute(CONVERSION.encode())
    assert upgrade(old) == KEPT
    with Memory(url=old, embedder="hashing") as memory:
        put = memory.put(key="k", content="tea", user_id="maya")
        assert memory.put(key="k", content="milk", user_id="maya").id == put.id


def test_many_clients_upgrade_it_at_once(old: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        upgraded = [threads.submit(upgrade, old) for _ in range(4)]
        assert asyncio.run(upgrade_too(old)) == KEPT
        assert all(records.result() == KEPT for records in upgraded)


def test_it_is_read_while_an_upgrade_waits(old: str) -> None:
    """The upgrade does not queue for the table behind a long transaction, where all readers would queue behind it."""
    with ThreadPoolExecutor(1) as threads:
        with psycopg.connect(old) as reader, psycopg.connect(old, autocommit=True) as watcher:
            reader.execute("SELECT FROM openmem.memories")
            upgraded = threads.submit(upgrade, old)
            waiting = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            while watcher.execute(waiting).fetchone() == (0,):
                assert not upgraded.done()
            for _ in range(3):
                assert watcher.execute("SELECT count(*) FROM openmem.memories").fetchone() == (len(RECORDS),)
            assert not upgraded.done()
        assert upgraded.result() == KEPT


def test_a_process_from_before_goes_on(old: str) -> None:
    """What it stores has the new fields as they are by default, and it cannot store a second memory under a key."""
    upgrade(old)
    with Memory(url=old, embedder="hashing") as memory, psycopg.connect(old, autocommit=True) as before:
        [(_, id)] = before.execute(
            "INSERT INTO openmem.memories (id, bucket, user_id, ordinal, created_at, content)"
            " SELECT 'mem_6b24gw5zzzbqfm48n5', bucket, user_id, 9, now(), 'from before' FROM openmem.memories"
            " WHERE user_id = 'maya' LIMIT 1 RETURNING user_id, id"
        ).fetchall()
        stored = memory.get(id)
        assert (stored.version, stored.indexed, stored.metadata, stored.key, stored.expires_at) == (
            1, True, None, None, None
        )  # fmt: skip
        with before.transaction(force_rollback=True):
            changed = "UPDATE openmem.memories SET key = 'home', scope = CASE WHEN id = %s THEN 'a' END"
            before.execute(changed + " WHERE id IN (%s, %s)", [id, id, KEPT[0].id])
            with pytest.raises(psycopg.errors.UniqueViolation):
                before.execute("UPDATE openmem.memories SET scope = NULL, updated_at = now() WHERE id = %s", [id])
