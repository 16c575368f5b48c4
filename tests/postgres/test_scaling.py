"""Spreading tables over a cluster, where there is none."""

from __future__ import annotations

import psycopg
import pytest

from openmem import InvalidRequestError, Memory, ProviderError
from openmem.providers.postgres.statements import Statements
from openmem.scaling import scale_out

DELETIONS = Statements("openmem", "public", "all").deletions


def test_a_database_without_citus(database: str) -> None:
    for dry_run in (True, False):
        with pytest.raises(ProviderError, match="CREATE EXTENSION citus"):
            scale_out(database, dry_run=dry_run)


@pytest.mark.parametrize("shards", [0, 1025])
def test_a_number_of_shards_that_makes_no_sense(shards: int) -> None:
    with pytest.raises(InvalidRequestError, match="shards: "):
        scale_out("postgresql://nowhere/omp", shards=shards)


def test_a_schema_that_has_no_such_name() -> None:
    with pytest.raises(InvalidRequestError, match="schema: "):
        scale_out("postgresql://nowhere/omp", schema="Mine")


@pytest.mark.parametrize("is_sharded", [False, True])
def test_a_purge_removes_the_same_with_the_statements_for_a_cluster(database: str, is_sharded: bool) -> None:
    with Memory(url=database, embedder="hashing") as memory:
        [old, kept] = memory.add_many([{"content": "tea", "user_id": "maya"}] * 2)
    with psycopg.connect(database, autocommit=True, cursor_factory=psycopg.RawCursor) as admin:
        admin.execute("UPDATE openmem.memories SET expires_at = now() WHERE id = $1", [old.id])
        admin.execute(
            "INSERT INTO openmem.idempotency_keys (bucket, user_id, key, fingerprint, memory_id, at) "
            "SELECT n % 1024, 'maya', n::text, '', '', now() - n * interval '8 hours' FROM generate_series(0, 5) n"
        )
        for statement in (DELETIONS.purge_expired(is_sharded=is_sharded), DELETIONS.purge_keys(is_sharded=is_sharded)):
            removed = []
            for _ in range(2):
                removed.append(statement.decode(admin.execute(statement.sql.encode(), statement.args).fetchall()))
            assert removed == [1 if "expires_at" in statement.sql else 3, 0]
        assert admin.execute("SELECT id FROM openmem.memories").fetchall() == [(kept.id,)]
        assert admin.execute("SELECT key FROM openmem.idempotency_keys ORDER BY at DESC").fetchall() == [
            ("0",), ("1",), ("2",)
        ]  # fmt: skip
