"""Tables that are partitioned by bucket, as `docs/scaling.md` does it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from openmem import AuditEntry, ConflictError, Memory
from openmem._ids import bucket_of
from openmem.ports.postgres import Statement

from ..docs.pages import blocks
from ..pure.test_statements import statements
from ..servers import Server
from .plans import rows_fetched

USER = "maya"
TABLES = ("memories", "audit_log", "idempotency_keys")
BUCKET_OF_MAYA, CONVERSION = [block.source for block in blocks("docs/scaling.md") if block.language == "sql"]


@pytest.fixture(scope="module", params=["server", "server_16"])
def store(request: pytest.FixtureRequest) -> tuple[str, list[AuditEntry]]:
    """A database with one memory that was converted, and the audit log from before."""
    server: Server = request.getfixturevalue(request.param)
    url = server.create_database()
    with opened(url) as memory, psycopg.connect(url, autocommit=True) as admin:
        memory.add(content="Maya drinks green tea", user_id=USER)
        memory.search("tea", USER)
        logged = memory.audit(USER)
        admin.execute(CONVERSION.encode())
    return url, logged


def opened(url: str) -> Memory:
    return Memory(url=url, embedder="hashing")


def test_what_was_stored_is_kept(store: tuple[str, list[AuditEntry]]) -> None:
    url, logged = store
    with opened(url) as memory:
        assert memory.audit(USER)[-2:] == logged
        [hit] = memory.search("green tea", USER)
        assert memory.get(hit.memory.id) == hit.memory


def test_every_verb_works(store: tuple[str, list[AuditEntry]]) -> None:
    url, _ = store
    with opened(url) as memory:
        for number in range(40):
            user = f"user {number}"
            old = memory.add(content="likes coffee", user_id=user)
            new = memory.add(content="likes tea", user_id=user, supersedes=[old.id], valid_from=datetime.now(UTC))
            changed = memory.update(new.id, content="likes green tea", tags=["drink"])
            assert [hit.memory for hit in memory.search("tea", user)] == [changed]
            assert [item.id for item in memory.list(user).items] == [new.id, old.id]
            memory.wait_for_ingest([old.id, new.id], user)
            memory.delete(old.id)
            assert [item.id for item in memory.list(user).items] == [new.id]
            put = memory.put(key="k", content="likes milk", user_id=user)
            replaced = memory.put(key="k", content="likes water", user_id=user, if_version=1)
            assert (replaced.id, replaced.version) == (put.id, 2)
            kept = memory.put(key="k", content="likes tea", user_id=user, keep_history=True)
            assert memory.get_by_key("k", user) == kept
            with pytest.raises(ConflictError, match="key: "):
                memory.add(content="likes tea", user_id=user, key="k")
            assert memory.restore([replaced, kept])[1] == kept
            actions = ["get_by_key", "put", "put", "put", "list", "delete", "list", "search", "update", "add", "add"]
            assert [entry.action for entry in memory.audit(user)] == actions


def test_a_memory_is_in_the_partition_of_its_user(store: tuple[str, list[AuditEntry]]) -> None:
    url, _ = store
    users = [f"someone {number}" for number in range(100)]
    with opened(url) as memory, psycopg.connect(url, autocommit=True) as admin:
        for user in users:
            memory.add(content="likes tea", user_id=user)
        for table in ("memories", "audit_log"):
            query = f"SELECT user_id, bucket, tableoid FROM openmem.{table} WHERE user_id LIKE 'someone %'"  # noqa: S608
            found = admin.execute(query.encode()).fetchall()
            assert {(user, bucket) for user, bucket, _ in found} == {(user, bucket_of(user)) for user in users}
            assert len({partition for _, _, partition in found}) == 16


def test_the_bucket_in_sql(database: str) -> None:
    with psycopg.connect(database) as admin:
        for user in ("maya", "Zoë", "猫", "user-1"):
            assert admin.execute(BUCKET_OF_MAYA.replace("maya", user).encode()).fetchone() == (bucket_of(user),)


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
def test_a_verb_touches_one_partition(store: tuple[str, list[AuditEntry]], mode: str) -> None:
    url, _ = store
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"SET plan_cache_mode = {mode}".encode())
        seen = set()
        for name, statement in statements("all", schema="openmem", vector_schema="public"):
            touched = partitions(admin, statement)
            for table in TABLES:
                parts = {part for part in touched if part.startswith(f"{table}_")}
                assert len(parts) <= 1, (name, parts)
                seen |= {(name.split()[0], table)} if parts else set()
        verbs = ("get", "update", "delete", "list", "search", "context", "wait_for_ingest")
        assert seen >= {(verb, "memories") for verb in verbs} | {("audit", "audit_log"), ("add", "idempotency_keys")}


def partitions(admin: psycopg.Connection[Any], statement: Statement[Any]) -> set[str]:
    """The partitions that a statement reads when it runs."""
    return set(rows_fetched(admin, statement))


def test_reembedding_reaches_every_partition(store: tuple[str, list[AuditEntry]]) -> None:
    url, _ = store
    with opened(url) as memory, psycopg.connect(url, autocommit=True) as admin:
        for number in range(50):
            memory.add(content="likes tea", user_id=f"another {number}")
        admin.execute("UPDATE openmem.memories SET embedding_model = 'another'")
        [(memories, partitions)] = admin.execute("SELECT count(*), count(DISTINCT tableoid) FROM openmem.memories")
        assert memory.reembed(batch_size=7) == memories
        assert partitions > 8
