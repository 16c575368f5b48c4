"""How counts, facets, histories, lists of users and deletions run on a table that the planner knows nothing about."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from openmem import Memory
from openmem._cursor import encode_cursor
from openmem.access import Grants
from openmem.analysis import QueryWord
from openmem.embedders.hashing import HashingEmbedder
from openmem.operations import Count, DeleteMany, Facets, ForgetUser, History, List, Purge, Search, Users
from openmem.providers.base import Call
from openmem.providers.postgres.deletions import BATCH_ROWS
from openmem.providers.postgres.session import DIRECT, POOLED
from openmem.providers.postgres.statements import Statements
from openmem.selection import Order, Position

from ..servers import Server
from .plans import nodes, rows_read

MANY = 1500
FEW = 20
USER = "maya"
OTHERS = 5
CALL = Call("request", None, Grants.parse(None))
EMBEDDER = HashingEmbedder(8)
WORDS = (QueryWord(("tea",)),)
SQL = Statements("openmem", "public", "all")


@pytest.fixture(scope="module", params=itertools.product(["server", "server_16"], ["direct", "pooled"]), ids="-".join)
def admin(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection[Any]]:
    """A connection as openmem makes it, to a database with many memories of one user and no statistics."""
    server, mode = request.param
    url = request.getfixturevalue(server).create_database()
    with Memory(url=url, embedder=EMBEDDER) as memory, psycopg.connect(url, autocommit=True) as admin:
        admin.execute("ALTER TABLE openmem.memories SET (autovacuum_enabled = false)")
        memory.add_many([{"content": f"tea {number}", "user_id": USER} for number in range(MANY)])
        memory.add_many([{"content": "tea", "user_id": f"user {number}"} for number in range(OTHERS)])
        admin.execute(
            "UPDATE openmem.memories m SET created_at = created_at + ordinal * interval '1 second', "
            "metadata = jsonb_build_object('n', ordinal), key = CASE WHEN ordinal % 2 = 0 THEN ordinal::text END, "
            "supersedes = CASE WHEN ordinal % 10 > 1 THEN ARRAY[("
            "SELECT id FROM openmem.memories o WHERE o.user_id = m.user_id AND o.ordinal = m.ordinal - 1)] END"
        )
        session = DIRECT if mode == "direct" else POOLED
        admin.execute(session.on_connect.encode())
        # One transaction lasts as long as the tests do; each of them rolls back to its beginning.
        if session.is_per_transaction:
            admin.execute(session.begin.encode())
        yield admin


def test_counts_and_facets_read_each_memory_once(admin: psycopg.Connection[Any]) -> None:
    where = {"n": {"$lt": 10}}
    for statement in (
        SQL.counting.count(Count(user_id=USER), CALL),
        SQL.counting.count(Count(user_id=USER, where=where), CALL),
        SQL.counting.facets(Facets(user_id=USER, by="scope"), CALL),
        SQL.counting.facets(Facets(user_id=USER, by="metadata.n"), CALL),
    ):
        assert rows_read(admin, statement, tables=["memories"]) <= MANY, statement.sql


def test_facets_without_filters_do_not_look_at_the_columns_of_filters(admin: psycopg.Connection[Any]) -> None:
    for filters, looks in ({}, False), ({"app": "crm"}, True):
        statement = SQL.counting.facets(Facets(user_id=USER, by="tag", **filters), CALL)
        conditions = " ".join(node.get("Filter", "") for node in nodes(admin, statement) if node["Actual Rows"] > FEW)
        assert ("metadata" in conditions or not conditions) is looks


def test_bounds_of_time_are_where_reading_begins_and_ends(admin: psycopg.Connection[Any]) -> None:
    first, last = moments(admin, 100, 100 + FEW)
    bounds = {"since": first, "until": last}
    for statement in (
        SQL.counting.count(Count(user_id=USER, **bounds), CALL),
        SQL.counting.facets(Facets(user_id=USER, by="tag", **bounds), CALL),
        SQL.deletions.delete_selected(DeleteMany(user_id=USER, **bounds).selection(CALL.grants))(None),
    ):
        assert rows_read(admin, statement, tables=["memories"]) <= 2 * FEW + 2, statement.sql


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_a_page_is_read_from_its_place(admin: psycopg.Connection[Any], order: Order) -> None:
    page = List(user_id=USER, limit=FEW, order=order)
    assert rows_read(admin, SQL.reads.list(page, CALL), tables=["memories"]) <= FEW + 1
    [moment] = moments(admin, 700)
    [[id]] = admin.execute("SELECT id FROM openmem.memories WHERE created_at = %s", [moment]).fetchall()
    further = page.model_copy(update={"cursor": encode_cursor(page.fingerprint, Position(moment, id))})
    assert rows_read(admin, SQL.reads.list(further, CALL), tables=["memories"]) <= FEW + 1


@pytest.mark.parametrize("changed", [0, FEW // 2, 3 * FEW, MANY])
def test_a_page_in_the_order_of_changes_is_read_from_two_places(admin: psycopg.Connection[Any], changed: int) -> None:
    """Those that were changed last are read, and as many that never were."""
    page = List(user_id=USER, limit=FEW, order="updated")
    with admin.transaction(force_rollback=True):
        admin.execute(
            "UPDATE openmem.memories SET updated_at = now() + ordinal * interval '1 second' "
            "WHERE user_id = %s AND ordinal <= %s",
            [USER, changed],
        )
        assert rows_read(admin, SQL.reads.list(page, CALL), tables=["memories"]) <= 3 * (FEW + 1)


def test_named_memories_are_looked_up(admin: psycopg.Connection[Any]) -> None:
    ids = [id for (id,) in admin.execute("SELECT id FROM openmem.memories OFFSET 300 LIMIT %s", [FEW]).fetchall()]
    for named in ({"ids": [*ids, "unknown"]}, {"keys": [str(2 * number) for number in range(1, FEW + 1)]}):
        op = DeleteMany(user_id=USER, **named)
        [delete] = SQL.deletions.delete_named(op.selection(CALL.grants))
        assert rows_read(admin, delete, tables=["memories"]) <= 2 * FEW
        assert rows_read(admin, SQL.counting.count(op, CALL), tables=["memories"]) <= 2 * FEW


def test_a_history_is_read_along_its_links(admin: psycopg.Connection[Any]) -> None:
    """Each memory of the chain of 9 is found from both sides, and then read."""
    [[id]] = admin.execute("SELECT id FROM openmem.memories WHERE user_id = %s AND ordinal = 505", [USER]).fetchall()
    assert rows_read(admin, SQL.reads.history(History(id=id), CALL), tables=["memories"]) <= 3 * 9


def test_users_are_found_from_one_to_the_next(admin: psycopg.Connection[Any]) -> None:
    """Each user takes two rows of the index, and the memories that are counted."""
    page = SQL.users.page(Users(prefix="user ", limit=3))
    assert rows_read(admin, page, tables=["memories"]) <= 3 * 4
    assert rows_read(admin, SQL.users.page(Users(limit=1)), tables=["memories"]) <= MANY + 5


def test_a_batch_of_a_deletion_reads_no_more_than_its_rows(admin: psycopg.Connection[Any]) -> None:
    [moment] = moments(admin, 900)
    behind = Position(moment, "")
    every = DeleteMany(user_id=USER, everything=True).selection(CALL.grants)
    few = DeleteMany(user_id=USER, where={"n": {"$lt": 1000}}).selection(CALL.grants)
    forget = ForgetUser(user_id=USER)
    left = MANY - 900 + 1
    for statement, rows in (
        (SQL.deletions.delete_selected(every)(behind), 2 * left),
        (SQL.deletions.delete_selected(few)(behind), left + 100),
        (SQL.deletions.forget_memories(forget)(behind), 2 * left),
        (SQL.deletions.forget_audit_entries(forget)(None), 2 * BATCH_ROWS),
        (SQL.deletions.forget_keys(forget)(None), 2),
        (SQL.deletions.purge_keys(), 2),
        (SQL.deletions.purge_keys(is_sharded=True), 2),
        (SQL.deletions.purge_expired(), 1),
        (SQL.deletions.purge_expired(is_sharded=True), 1),
        (SQL.deletions.purge_ended(Purge(ended_before=moment))(None), BATCH_ROWS),
        (SQL.deletions.purge_audit(Purge(audit_before=moment))(None), 2 * BATCH_ROWS),
    ):
        assert rows_read(admin, statement, tables=["memories", "audit_log", "idempotency_keys"]) <= rows, statement.sql


def test_a_search_reads_each_memory_once(admin: psycopg.Connection[Any]) -> None:
    """And of those that it leaves out, since they have expired or are not indexed, no others twice."""
    [vector] = EMBEDDER.embed(["tea"])
    with admin.transaction(force_rollback=True):
        admin.execute("DELETE FROM openmem.memories WHERE user_id = %s AND ordinal > 900", [USER])
        admin.execute("UPDATE openmem.memories SET indexed = ordinal > 5 WHERE user_id = %s", [USER])
        for filters in ({}, {"where": {"n": {"$lt": 50}}}):
            op = Search(query="tea", user_id=USER, **filters)
            statement = SQL.searches.exact(op, CALL, WORDS, EMBEDDER.model, vector, 10)
            assert rows_read(admin, statement, tables=["memories"]) <= 900 + 5 + 10


def test_a_purge_looks_at_what_it_removes(admin: psycopg.Connection[Any]) -> None:
    with admin.transaction(force_rollback=True):
        admin.execute("UPDATE openmem.memories SET expires_at = now() WHERE user_id = %s", [USER])
        assert rows_read(admin, SQL.deletions.purge_expired(), tables=["memories"]) <= 2 * BATCH_ROWS


def moments(admin: psycopg.Connection[Any], *ordinals: int) -> list[Any]:
    """When the memories with these ordinals were created."""
    rows = admin.execute(
        "SELECT created_at FROM openmem.memories WHERE user_id = %s AND ordinal = ANY (%s) ORDER BY ordinal",
        [USER, list(ordinals)],
    ).fetchall()
    return [moment for (moment,) in rows]


def test_an_index_counts_the_memories_of_a_user(server: Server) -> None:
    """And what hides some of them is read where an index has those few."""
    url = server.create_database()
    with Memory(url=url, embedder=EMBEDDER) as memory, psycopg.connect(url, autocommit=True) as admin:
        memory.add_many([{"content": f"tea {number}", "user_id": USER} for number in range(MANY)])
        admin.execute("UPDATE openmem.memories SET expires_at = created_at WHERE ordinal <= %s", [FEW])
        admin.execute("VACUUM openmem.memories")
        admin.execute(DIRECT.on_connect.encode())
        statement = SQL.counting.count(Count(user_id=USER), CALL)
        scans = [node for node in nodes(admin, statement) if node.get("Relation Name") == "memories"]
        kinds = {node["Index Name"]: node["Node Type"] for node in scans}
        assert kinds == {"memories_in_order": "Index Only Scan", "memories_conditional": "Index Scan"}
        assert memory.count(USER) == MANY - FEW
