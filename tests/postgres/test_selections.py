"""Selections of users with many memories, and what only this database can get wrong."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from openmem import Memory
from openmem.embedders.hashing import HashingEmbedder
from openmem.models import MemoryRecord
from openmem.providers.postgres.deletions import BATCH_ROWS
from openmem.providers.postgres.reads import MAX_HISTORY

MANY = 3000
HIDDEN = 60
FILTERS: list[dict[str, Any]] = [
    {"where": {"kind": "rare"}},
    {"tags": ["rare"]},
    {"any_tags": ["rare", "other"]},
    {"scope": ["rare/**"]},
    {"app": "rare"},
]


@pytest.fixture(scope="module")
def memory(url: str) -> Iterator[Memory]:
    with Memory(url=url, embedder=HashingEmbedder(16)) as memory:
        yield memory


@pytest.fixture(scope="module")
def rare(memory: Memory) -> set[str]:
    """The ids of a few memories among many."""
    records: list[dict[str, Any]] = []
    for number in range(MANY):
        is_rare = number % (MANY // HIDDEN) == 7
        records.append(
            {
                "content": f"note {number} about tea" if number % 3 else f"note {number} about coffee",
                "user_id": "many",
                **(
                    {
                        "metadata": {"kind": "rare"},
                        "tags": ["rare"],
                        "scope": "rare/a",
                        "source": {"app": "rare"},
                    }
                    if is_rare
                    else {"metadata": {"kind": "common"}, "tags": ["common"], "source": {"app": "common"}}
                ),
            }
        )
    added = memory.add_many(records)
    return {record.id for record, given in zip(added, records, strict=True) if given["tags"] == ["rare"]}


@pytest.mark.parametrize("filters", FILTERS, ids=lambda filters: "-".join(filters))
@pytest.mark.parametrize("query", ["tea", "note 1507 about tea and coffee", "umbrella"])
def test_a_search_finds_all_that_a_filter_keeps(
    memory: Memory, rare: set[str], filters: dict[str, Any], query: str
) -> None:
    found = memory.search(query, "many", limit=100, **filters)
    assert {hit.memory.id for hit in found} == rare
    few = memory.search(query, "many", limit=20, **filters)
    assert [hit.memory.id for hit in few] == [hit.memory.id for hit in found[:20]]
    assert memory.count("many", **filters) == len(rare)


def test_pages_of_memories_of_one_moment_have_each_once(memory: Memory) -> None:
    ids = {record.id for record in memory.add_many([{"content": "tea", "user_id": "ties"}] * 25)}
    for order in ("newest", "oldest", "updated"):
        seen: list[MemoryRecord] = []
        page = memory.list("ties", order=order, limit=7)
        seen += page
        while page.next_cursor is not None:
            page = memory.list("ties", order=order, limit=7, cursor=page.next_cursor)
            seen += page
        assert len(seen) == len(ids)
        assert {record.id for record in seen} == ids


@pytest.mark.parametrize("limit", [1, 2, 5, 12])
def test_pages_in_the_order_of_changes_have_those_that_never_changed_among_them(
    memory: Memory, url: str, limit: int
) -> None:
    user = f"changed {limit}"
    memory.add_many([{"content": f"note {number}", "user_id": user} for number in range(12)])
    with psycopg.connect(url) as admin:
        # Some changes are older than some additions, and some are of the moment of an addition.
        admin.execute(
            "UPDATE openmem.memories SET created_at = created_at + ordinal * interval '1 minute', updated_at = "
            "CASE WHEN mod(ordinal, 3) = 0 THEN created_at + (ordinal + mod(ordinal, 4)) * interval '1 minute' END "
            "WHERE user_id = %s",
            [user],
        )
    seen: list[MemoryRecord] = []
    cursor: str | None = None
    while not seen or cursor is not None:
        page = memory.list(user, order="updated", limit=limit, cursor=cursor)
        seen += page
        cursor = page.next_cursor
    changes = [(record.updated_at or record.created_at, record.id) for record in seen]
    assert len(set(changes)) == 12
    assert changes == sorted(changes, reverse=True)


def test_a_path_of_a_facet_does_not_go_through_lists(memory: Memory) -> None:
    memory.add(content="tea", user_id="lists", metadata={"a": ["x"]})
    memory.add(content="tea", user_id="lists", metadata={"a": {"0": "y"}})
    memory.add(content="tea", user_id="lists", metadata={"a": {"0": None}})
    facets = memory.facets("lists", by="metadata.a.0")
    assert [(facet.value, facet.count) for facet in facets] == [(None, 2), ("y", 1)]


def test_a_history_with_a_circle_ends(memory: Memory, url: str) -> None:
    one = memory.add(content="tea", user_id="circle")
    other = memory.add(content="coffee", user_id="circle", supersedes=[one.id])
    with psycopg.connect(url) as admin:
        admin.execute("UPDATE openmem.memories SET supersedes = %s WHERE id = %s", [[other.id], one.id])
    assert [record.id for record in memory.history(one.id)] == [one.id, other.id]


def test_a_long_history_has_what_is_nearest(memory: Memory, url: str) -> None:
    first = memory.add(content="tea", user_id="long")
    last = memory.add(content="tea", user_id="long")
    with psycopg.connect(url) as admin:
        admin.execute(
            "INSERT INTO openmem.memories (id, user_id, bucket, ordinal, created_at, content, supersedes) "
            "SELECT 'mem_long_' || n, m.user_id, m.bucket, m.ordinal + n, m.created_at, 'tea', "
            "ARRAY[CASE WHEN n > 1 THEN 'mem_long_' || n - 1 ELSE m.id END] "
            "FROM openmem.memories m, generate_series(1, %s) n WHERE m.id = %s",
            [2 * MAX_HISTORY, first.id],
        )
        admin.execute(
            "UPDATE openmem.memories SET supersedes = %s WHERE id = %s", [[f"mem_long_{2 * MAX_HISTORY}"], last.id]
        )
    history = {record.id for record in memory.history(last.id)}
    assert history == {last.id, *(f"mem_long_{2 * MAX_HISTORY - number}" for number in range(MAX_HISTORY - 1))}


def test_users_are_those_with_memories_that_have_not_expired(database: str) -> None:
    with Memory(url=database, embedder="hashing") as memory:
        for user in ("a%", "a", "a_b", "ab", "b", "é", "🙂"):
            memory.add(content="tea", user_id=user)
        memory.add(content="tea", user_id="ab", expires_at=datetime(2020, 1, 1, tzinfo=UTC))
        memory.add(content="tea", user_id="aa", expires_at=datetime(2020, 1, 1, tzinfo=UTC))
        users: list[str] = []
        cursor = None
        while True:
            page = memory.users(limit=2, cursor=cursor)
            users += [user.user_id for user in page]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert users == sorted(["a%", "a", "a_b", "ab", "b", "é", "🙂"])
        assert [(user.user_id, user.count) for user in memory.users(prefix="a_")] == [("a_b", 1)]
        assert [(user.user_id, user.count) for user in memory.users(prefix="ab")] == [("ab", 1)]
        assert len(memory.users(prefix="c")) == 0


def test_a_purge_removes_old_keys_and_entries_of_all_users(database: str) -> None:
    with Memory(url=database, embedder="hashing") as memory, psycopg.connect(database, autocommit=True) as admin:
        for number in range(3):
            memory.add(content="tea", user_id=f"user {number}", idempotency_key="once")
        admin.execute("UPDATE openmem.idempotency_keys SET at = now() - interval '2 days' WHERE user_id <> 'user 0'")
        admin.execute(
            "INSERT INTO openmem.audit_log (bucket, user_id, action, at) SELECT 1, 'user 1', 'get', '2020-01-01' "
            "FROM generate_series(1, %s)",
            [BATCH_ROWS + 5],
        )
        admin.execute("UPDATE openmem.audit_log SET at = '2020-01-01' WHERE id = 2")
        seen: list[tuple[int, int]] = []
        purged = memory.purge(audit_before="2021-01-01", progress=lambda done, total: seen.append((done, total)))
        assert (purged.memories, purged.audit_entries) == (0, BATCH_ROWS + 6)
        assert seen[-1] == (BATCH_ROWS + 6, BATCH_ROWS + 6)
        assert admin.execute("SELECT user_id FROM openmem.idempotency_keys").fetchall() == [("user 0",)]
        assert admin.execute("SELECT count(*) FROM openmem.audit_log").fetchone() == (2,)


def test_a_purge_removes_what_has_ended_and_not_what_will(database: str) -> None:
    past, future = datetime(2020, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)
    with Memory(url=database, embedder="hashing") as memory:
        memory.add(content="tea", user_id="ends", valid_to=past)
        later = memory.add(content="tea", user_id="ends", valid_to=future)
        assert memory.purge(ended_before=past).memories == 0
        assert memory.purge(ended_before="3000-01-01").memories == 1
        assert [record.id for record in memory.list("ends")] == [later.id]
