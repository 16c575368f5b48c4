"""How statements run on a table that the planner knows nothing about, so that it expects hardly a row of a user."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from openmem import Memory
from openmem._ids import new_memory_id
from openmem.access import Grants
from openmem.drivers.pool import ON_CONNECT
from openmem.embedders.hashing import HashingEmbedder
from openmem.operations import Add, Search
from openmem.providers.base import Call
from openmem.providers.postgres.statements import Statements

from .plans import nodes

MANY = 600
USER = "maya"
CALL = Call("request", None, Grants.parse(None))
EMBEDDER = HashingEmbedder()
SQL = Statements("openmem", "public", "all")


@pytest.fixture(scope="module", params=["server", "server_16"])
def admin(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection[Any]]:
    """A connection as openmem makes it, to a database with many memories of one user and no statistics."""
    url = request.getfixturevalue(request.param).create_database()
    words = ("tea", "coffee", "walk", "lake", "train", "cat", "concert", "letter")
    with Memory(url=url, embedder=EMBEDDER) as memory, psycopg.connect(url, autocommit=True) as admin:
        admin.execute("ALTER TABLE openmem.memories SET (autovacuum_enabled = false)")
        texts = [" ".join(words[number * step % 8] for step in (1, 3, 5, 7)) for number in range(MANY)]
        memory.add_many([{"content": text, "user_id": USER} for text in texts])
        admin.execute(ON_CONNECT)
        yield admin


def test_a_search_does_not_compare_all_with_all(admin: psycopg.Connection[Any]) -> None:
    query = "tea and coffee by the lake, a cat, a letter"
    op = Search(query=query, user_id=USER, scope=None, limit=10, min_score=None)
    [vector] = EMBEDDER.embed([query])
    statement = SQL.search(op, CALL, EMBEDDER.model, vector, limit=10, many=False)
    compared = [
        node["Actual Loops"] * node["Rows Removed by Join Filter"]
        for node in nodes(admin, statement)
        if "Rows Removed by Join Filter" in node
    ]
    assert sum(compared) < MANY, compared


def test_an_addition_does_not_read_what_is_there(admin: psycopg.Connection[Any]) -> None:
    op = Add(content="tea", user_id=USER)
    statement = SQL.add(new_memory_id(USER), op, CALL, EMBEDDER.model, EMBEDDER.embed(["tea"])[0])
    rows = [node["Actual Rows"] for node in nodes(admin, statement) if "Scan" in node["Node Type"]]
    assert sum(rows) < 10, rows
