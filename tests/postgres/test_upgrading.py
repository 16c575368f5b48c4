"""Databases that an older openmem made, and steps that PostgreSQL allows in no transaction."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from openmem import AsyncMemory, Memory, ProviderError
from openmem.providers.postgres import schema
from openmem.providers.postgres.migrations import MIGRATIONS, Migration

BY_TAG = """
DROP INDEX {concurrently} IF EXISTS {schema}.memories_by_tag;
CREATE INDEX {concurrently} memories_by_tag ON {schema}.memories USING gin (tags);
"""
NOTE = "ALTER TABLE {schema}.memories ADD COLUMN note text;"


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The files of two more steps, by name: an index that is built concurrently, and a column."""
    number = len(MIGRATIONS)
    files = {f"{number + 1:04}_by_tag": BY_TAG, f"{number + 2:04}_note": NOTE}
    text = Migration.text

    def text_of(step: Migration) -> str:
        return files.get(f"{step.version:04}_{step.name}") or text(step)

    monkeypatch.setattr(Migration, "text", text_of)
    more = (*MIGRATIONS, Migration(number + 1, "by_tag", is_transactional=False), Migration(number + 2, "note"))
    monkeypatch.setattr(schema, "MIGRATIONS", more)
    return files


def ask(database: str, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database, autocommit=True) as connection:
        return connection.execute(sql.encode()).fetchall()


def is_upgraded(database: str) -> bool:
    [(valid,)] = ask(database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'openmem.memories_by_tag'::regclass")
    [(last,)] = ask(database, "SELECT max(version) FROM openmem.migrations")
    [(columns,)] = ask(database, "SELECT count(*) FROM pg_attribute WHERE attname = 'note'")
    return bool(valid) and last == len(MIGRATIONS) + 2 and columns == 1


@pytest.mark.parametrize("suffix", ["", "?pgbouncer=true"])
def test_a_new_database_gets_all_steps(database: str, steps: dict[str, str], suffix: str) -> None:
    with Memory(url=database + suffix, embedder="hashing", pool_max_size=1) as memory:
        memory.add(content="tea", user_id="maya")
    assert is_upgraded(database)


@pytest.mark.parametrize("suffix", ["", "?pgbouncer=true"])
def test_many_clients_upgrade_a_database_once(database: str, request: pytest.FixtureRequest, suffix: str) -> None:
    with Memory(url=database, embedder="hashing") as memory:
        memory.add(content="tea", user_id="maya")
    request.getfixturevalue("steps")

    def upgrade(_: int) -> str:
        with Memory(url=database + suffix, embedder="hashing", pool_max_size=1) as memory:
            [found] = memory.search("tea", user_id="maya")
            return found.memory.content

    async def upgrade_too() -> None:
        async with AsyncMemory(url=database + suffix, embedder="hashing", pool_max_size=1) as memory:
            await memory.add(content="milk", user_id="noor")

    with ThreadPoolExecutor(8) as threads:
        upgraded = threads.map(upgrade, range(8))
        asyncio.run(upgrade_too())
        assert set(upgraded) == {"tea"}
    assert is_upgraded(database)


def test_a_step_that_failed_is_done_again(database: str, steps: dict[str, str]) -> None:
    """A failed attempt to build an index concurrently leaves an invalid one."""
    name = f"{len(MIGRATIONS) + 1:04}_by_tag"
    failing = BY_TAG.replace("gin (tags)", "btree ((1 / (ordinal - 1)))")
    steps[name] = BY_TAG
    with Memory(url=database, embedder="hashing") as memory:
        memory.add(content="tea", user_id="maya")
    with psycopg.connect(database) as connection:
        connection.execute(b"DELETE FROM openmem.migrations WHERE version > %s", [len(MIGRATIONS)])
        connection.execute("ALTER TABLE openmem.memories DROP COLUMN note")
    steps[name] = failing
    with pytest.raises(ProviderError, match="division by zero"):
        Memory(url=database, embedder="hashing").__enter__()
    [(valid,)] = ask(database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'openmem.memories_by_tag'::regclass")
    assert valid is False
    steps[name] = BY_TAG
    with Memory(url=database, embedder="hashing") as memory:
        assert memory.search("tea", user_id="maya")
    assert is_upgraded(database)
