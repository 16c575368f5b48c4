"""How what names keys, or many memories, runs on a table that the planner knows nothing about: look-up by look-up."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from openmem import Memory
from openmem._ids import new_memory_id
from openmem.access import Grants
from openmem.embedders.hashing import HashingEmbedder
from openmem.operations import Add, Delete, GetByKey, Put, Update, add_many_of
from openmem.ports.postgres import Statement
from openmem.providers.base import Call
from openmem.providers.postgres.additions import Addition
from openmem.providers.postgres.batches import New
from openmem.providers.postgres.reads import Seen
from openmem.providers.postgres.session import DIRECT, POOLED
from openmem.providers.postgres.statements import Statements
from openmem.providers.postgres.writes import Read

from .plans import rows_fetched, rows_read

MANY = 600
FEW = 20
USER = "maya"
CALL = Call("request", None, Grants.parse(None))
ONCE = Call("request", idempotency_key="once")
NOW = datetime(2024, 1, 1, tzinfo=UTC)
EMBEDDER = HashingEmbedder()
READ = Read(EMBEDDER.model, EMBEDDER.embed(["tea"])[0], "{1:1}/536870912")
SEEN = Seen(None, NOW, None, None, True)
SQL = Statements("openmem", "public", "all")


@pytest.fixture(scope="module", params=itertools.product(["server", "server_16"], ["direct", "pooled"]), ids="-".join)
def admin(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection[Any]]:
    """A connection as openmem makes it, to a database with many memories of one user under keys, and no statistics."""
    server, mode = request.param
    url = request.getfixturevalue(server).create_database()
    with Memory(url=url, embedder=EMBEDDER) as memory, psycopg.connect(url, autocommit=True) as admin:
        admin.execute("ALTER TABLE openmem.memories SET (autovacuum_enabled = false)")
        memory.add_many([{"content": "tea", "user_id": USER, "key": f"k{number}"} for number in range(MANY)])
        expired = {"content": "tea", "user_id": USER, "scope": "a", "expires_at": NOW}
        memory.add_many([{**expired, "key": f"k{number}"} for number in range(MANY)])
        session = DIRECT if mode == "direct" else POOLED
        admin.execute(session.on_connect.encode())
        # One transaction lasts as long as the tests do; each of them rolls back to its beginning.
        if session.is_per_transaction:
            admin.execute(session.begin.encode())
        yield admin


def ids(admin: psycopg.Connection[Any]) -> list[str]:
    """The ids of some memories that are there, of those in the middle."""
    query = "SELECT id FROM openmem.memories WHERE scope IS NULL ORDER BY id OFFSET 300 LIMIT %s"
    return [id for (id,) in admin.execute(query, (FEW,)).fetchall()]


def writes(id: str) -> Iterator[Statement[Any]]:
    """Statements that write one memory; `id` is one that is there."""
    new = Addition(new_memory_id(USER))
    for scope, key in itertools.product((None, "a", "b"), ("k300", "new")):
        given: dict[str, Any] = {"content": "tea", "user_id": USER, "scope": scope, "key": key}
        for more in ({}, {"if_version": 1}, {"keep_history": True}, {"supersedes": [id]}):
            yield SQL.writes.put(new, Put(**given, **more), CALL, READ)
        yield SQL.writes.add(new, Add(**given), CALL, READ)
        if scope is not None:
            yield SQL.writes.add_once(new, Add(**given), ONCE, READ)
    for changes in ({"scope": "a"}, {"scope": "b"}, {"valid_from": NOW}, {"metadata": {"a": 1}, "if_version": 1}):
        yield SQL.writes.update(Update(id=id, **changes), CALL, SEEN, READ)
    yield SQL.writes.delete(Delete(id=id, if_version=1), CALL)


def test_a_write_looks_its_key_up(admin: psycopg.Connection[Any]) -> None:
    for statement in writes(ids(admin)[0]):
        assert sum(rows_fetched(admin, statement).values()) < 25, statement


def test_a_memory_is_found_by_its_key(admin: psycopg.Connection[Any]) -> None:
    for key, scope in (("k300", None), ("k300", "a"), ("new", None)):
        statement = SQL.reads.get_by_key(GetByKey(key=key, user_id=USER, scope=scope), CALL)
        assert rows_read(admin, statement) < 5


def test_many_keys_and_ids_are_looked_up_one_by_one(admin: psycopg.Connection[Any]) -> None:
    there = ids(admin)
    adds = [Add(content="tea", user_id=USER, scope="a", key=f"k{number}") for number in range(FEW)]
    new = [New(add, new_memory_id(USER), number, NOW) for number, add in enumerate(adds)]
    for statement in (SQL.batches.free_keys(new), SQL.batches.find(there), SQL.batches.remove_expired(there)):
        assert sum(rows_fetched(admin, statement).values()) <= 6 * FEW, statement.sql
    many = add_many_of([{"content": "tea", "user_id": USER}], None)
    assert sum(rows_fetched(admin, SQL.batches.add_many_once(many, there, ONCE)).values()) < 10
