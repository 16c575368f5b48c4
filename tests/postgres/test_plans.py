"""How statements run on a table that the planner knows nothing about, so that it expects hardly a row of a user."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from openmem import Memory
from openmem._ids import bucket_of, new_memory_id
from openmem.access import Grants
from openmem.analysis.analyzer import Analyzer
from openmem.embedders.hashing import HashingEmbedder
from openmem.operations import Add, Delete, Get, List, Search, Update, WaitForIngest, add_many_of
from openmem.providers.base import Call
from openmem.providers.postgres.additions import Addition
from openmem.providers.postgres.lexemes import term_ids, terms_literal
from openmem.providers.postgres.reads import Seen
from openmem.providers.postgres.reembedding import StaleEmbedding
from openmem.providers.postgres.reindexing import StaleTerms
from openmem.providers.postgres.session import DIRECT, POOLED
from openmem.providers.postgres.statements import Statements
from openmem.providers.postgres.writes import Read

from .plans import nodes, rows_fetched, rows_read

MANY = 600
FEW = 20
USER = "maya"
CALL = Call("request", None, Grants.parse(None))
EMBEDDER = HashingEmbedder()
ANALYZER = Analyzer()
NOW = datetime(2024, 1, 1, tzinfo=UTC)
TERMS = ANALYZER.memory("tea", NOW)
READ = Read(EMBEDDER.model, EMBEDDER.embed(["tea"])[0], terms_literal(term_ids(TERMS)))
SEEN = Seen(None, NOW, None, None, True)
SQL = Statements("openmem", "public", "all")


@pytest.fixture(scope="module", params=itertools.product(["server", "server_16"], ["direct", "pooled"]), ids="-".join)
def admin(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection[Any]]:
    """A connection as openmem makes it, to a database with many memories of one user and no statistics."""
    server, mode = request.param
    url = request.getfixturevalue(server).create_database()
    words = ("tea", "coffee", "walk", "lake", "train", "cat", "concert", "letter")
    with Memory(url=url, embedder=EMBEDDER) as memory, psycopg.connect(url, autocommit=True) as admin:
        admin.execute("ALTER TABLE openmem.memories SET (autovacuum_enabled = false)")
        texts = [" ".join(words[number * step % 8] for step in (1, 3, 5, 7)) for number in range(MANY)]
        memory.add_many([{"content": text, "user_id": USER} for text in texts])
        session = DIRECT if mode == "direct" else POOLED
        admin.execute(session.on_connect.encode())
        # One transaction lasts as long as the tests do; each of them rolls back to its beginning.
        if session.is_per_transaction:
            admin.execute(session.begin.encode())
        yield admin


def test_a_search_does_not_compare_all_with_all(admin: psycopg.Connection[Any]) -> None:
    query = "tea and coffee by the lake, a cat, a letter"
    op = Search(query=query, user_id=USER, scope=None, limit=10, min_score=None)
    [vector] = EMBEDDER.embed([query])
    statement = SQL.searches.exact(op, CALL, ANALYZER.query(query, NOW), EMBEDDER.model, vector, 10)
    compared = [
        node["Actual Loops"] * node["Rows Removed by Join Filter"]
        for node in nodes(admin, statement)
        if "Rows Removed by Join Filter" in node
    ]
    assert sum(compared) < MANY, compared


def test_an_addition_does_not_read_what_is_there(admin: psycopg.Connection[Any]) -> None:
    op = Add(content="tea", user_id=USER)
    statement = SQL.writes.add(Addition(new_memory_id(USER)), op, CALL, READ)
    assert sum(rows_fetched(admin, statement).values()) < 10


def test_a_memory_is_found_by_its_id(admin: psycopg.Connection[Any]) -> None:
    id, other = ids(admin, 2)
    new = new_memory_id(USER)
    for statement in (
        SQL.reads.get(Get(id=id), CALL),
        SQL.writes.update(Update(id=id, content="tea", supersedes=[other]), CALL, SEEN, READ),
        SQL.writes.delete(Delete(id=id), CALL),
        SQL.writes.add(Addition(new), Add(content="tea", user_id=USER, supersedes=[id]), CALL, READ),
        SQL.reads.before_update(Update(id=id, content="tea"), CALL),
        SQL.reads.missing(WaitForIngest(ids=[id], user_id=USER)),
    ):
        assert sum(rows_fetched(admin, statement).values()) < 25, statement.sql


def test_what_is_superseded_is_found_one_by_one(admin: psycopg.Connection[Any]) -> None:
    added = ids(admin, FEW)
    adds = [{"content": "tea", "user_id": USER, "supersedes": [id]} for id in added]
    closing = SQL.batches.close_superseded(add_many_of(adds, None), CALL)
    assert sum(rows_fetched(admin, closing).values()) <= 4 * FEW


def test_new_vectors_are_stored_where_they_belong(admin: psycopg.Connection[Any]) -> None:
    memories = [StaleEmbedding(id, bucket_of(USER), "tea", datetime.now(UTC)) for id in ids(admin, FEW)]
    vectors = EMBEDDER.embed(["tea"] * FEW)
    assert rows_read(admin, SQL.reembedding.store(EMBEDDER.model, memories, vectors)) <= 4 * FEW


def test_new_words_are_stored_where_they_belong(admin: psycopg.Connection[Any]) -> None:
    memories = [StaleTerms(id, bucket_of(USER), "tea", NOW, NOW) for id in ids(admin, FEW)]
    assert rows_read(admin, SQL.reindexing.store(memories, [TERMS] * FEW)) <= 4 * FEW


def test_a_page_is_read_from_its_place(admin: psycopg.Connection[Any]) -> None:
    page = SQL.reads.list(List(user_id=USER, limit=FEW), CALL)
    assert rows_read(admin, page) <= 3 * FEW + 10
    for stale in (SQL.reembedding.stale("another model", "", FEW), SQL.reindexing.stale(True, "", FEW)):
        assert rows_read(admin, stale) <= FEW


def ids(admin: psycopg.Connection[Any], count: int) -> list[str]:
    """The ids of some memories, of those in the middle."""
    query = "SELECT id FROM openmem.memories ORDER BY id OFFSET 300 LIMIT %s"
    return [id for (id,) in admin.execute(query, (count,)).fetchall()]
