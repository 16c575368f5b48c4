"""The SQL of the verbs, without a server."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

import openmem
from openmem._cursor import encode_cursor
from openmem._ids import bucket_in, bucket_of, new_memory_id
from openmem.access import Grants
from openmem.analysis import QueryWord
from openmem.config import AuditMode
from openmem.models import AuditEntry
from openmem.operations import (
    Add,
    Audit,
    Context,
    Count,
    Delete,
    DeleteMany,
    Facets,
    ForgetUser,
    Get,
    GetByKey,
    History,
    List,
    Put,
    Search,
    Update,
    WaitForIngest,
)
from openmem.operations.vectors import StoredVectors
from openmem.ports.postgres import Query, Statement
from openmem.providers.base import Call, Position
from openmem.providers.postgres.additions import Addition
from openmem.providers.postgres.reads import Seen
from openmem.providers.postgres.statements import Statements
from openmem.providers.postgres.writes import AddedBefore, Read

MARK = "Zanzibar"
ID = new_memory_id(MARK)
VECTOR = [0.25, 0.5]
READ = Read(MARK, VECTOR, "{1:1}/536870912")
SEEN = Seen(None, datetime(2024, 1, 1, tzinfo=UTC), None, None, True)
WORDS = (QueryWord(("tea", "teas")), QueryWord(("cup",), 0.5))
NOW = datetime(2024, 1, 1, tzinfo=UTC)
CALL = Call(f"{MARK}-request", f"{MARK}-app", Grants.parse([f"{access}:{MARK}/*" for access in ("read", "write")]))


def statements(
    audit: AuditMode, schema: str = "memory_schema", vector_schema: str = '"Vector Schema"'
) -> Iterator[tuple[str, Statement[Any]]]:
    """Every statement of a verb."""
    sql = Statements(schema, vector_schema, audit)
    add = Add(
        content=MARK,
        user_id=MARK,
        scope=MARK,
        tags=[MARK],
        source={"app": MARK},
        confidence=0.5,
        valid_from=NOW,
        valid_to=NOW,
        extensions={"x-a": MARK},
    )
    page = List(user_id=MARK, scope=f"{MARK}/a", tag=MARK, since=NOW, until=NOW + timedelta(days=1), limit=3)
    cursor = encode_cursor(page.fingerprint, Position(NOW, MARK))
    update = Update(id=ID, content=MARK, scope=MARK, tags=[MARK], confidence=1, valid_to=NOW, supersedes=["m"])
    search = Search(query=MARK, user_id=MARK, scope=f"{MARK}/*", min_score=0.5)
    context = Context(query=MARK, user_id=MARK, scope=f"{MARK}/a")
    yield "add", sql.writes.add(Addition("mem_1"), add, CALL, READ)
    yield (
        "add superseding",
        sql.writes.add(Addition("mem_1"), add.model_copy(update={"supersedes": (MARK,)}), CALL, READ),
    )
    once = Call(f"{MARK}-request", idempotency_key=MARK)
    yield "add once", sql.writes.add_once(Addition("mem_1"), add, once, READ)
    yield "added before", sql.writes.added_before(add, CALL, AddedBefore(MARK, MARK))
    put = Put(key=MARK, content=MARK, user_id=MARK, supersedes=[MARK], if_version=1)
    yield "put", sql.writes.put(Addition("mem_1"), put, CALL, READ)
    yield "get by key", sql.reads.get_by_key(GetByKey(key=MARK, user_id=MARK, scope=MARK), CALL)
    yield "get", sql.reads.get(Get(id=ID), CALL)
    yield "update", sql.writes.update(update, CALL, SEEN, READ)
    yield "update one field", sql.writes.update(Update(id=ID, confidence=None), CALL, None, Read())
    yield "delete", sql.writes.delete(Delete(id=ID), Call(MARK, users=frozenset([MARK])))
    yield "list", sql.reads.list(page, CALL)
    yield "list on", sql.reads.list(page.model_copy(update={"cursor": cursor}), CALL)
    yield "search exact", sql.searches.exact(search, CALL, WORDS, MARK, VECTOR, 5)
    yield "search indexed", sql.searches.indexed(search, CALL, WORDS, MARK, VECTOR, 5)
    yield "context", sql.searches.exact(context, CALL, WORDS, MARK, VECTOR, 5)
    yield "audit", sql.audit_log.audit(Audit(user_id=MARK, app=MARK, since=NOW), CALL)
    yield "vectors", sql.batches.stored_vectors(StoredVectors(user_id=MARK, ids=(MARK,)))
    log = Audit(user_id=MARK, app=MARK, limit=1)
    behind = log.page([(7, AuditEntry(timestamp=NOW, action="add"))] * 2).next_cursor
    yield "audit on", sql.audit_log.audit(log.model_copy(update={"cursor": behind}), CALL)
    deletions, filters = sql.deletions, {"where": {MARK: MARK}, "any_tags": [MARK], "app": MARK}
    forget, unlimited = ForgetUser(user_id=MARK), Call(f"{MARK}-request")
    yield "count", sql.counting.count(Count(user_id=MARK, **filters), CALL)
    for ids, keys in (([MARK], None), (None, [MARK])):
        named = DeleteMany(user_id=MARK, ids=ids, keys=keys, **filters)
        yield f"count {ids}", sql.counting.count(named, unlimited)
        [delete] = deletions.delete_named(named.selection(unlimited.grants))
        yield f"delete {ids}", delete
    for by in ("scope", "tag", "app", f"metadata.{MARK}"):
        yield f"facets by {by}", sql.counting.facets(Facets(user_id=MARK, by=by), CALL)
    yield "history", sql.reads.history(History(id=ID), CALL)
    selected = DeleteMany(user_id=MARK, **filters)
    yield "delete batch", deletions.delete_selected(selected.selection(unlimited.grants))(Position(NOW, MARK))
    if (entry := deletions.log(selected, unlimited)) is not None:
        yield "log", entry
    yield "forget memories", deletions.forget_memories(forget)(None)
    yield "forget keys", deletions.forget_keys(forget)(None)
    yield "forget audit entries", deletions.forget_audit_entries(forget)(None)
    for order in ("oldest", "updated"):
        yield f"list {order}", sql.reads.list(List(user_id=MARK, order=order), CALL)
    yield "before update", sql.reads.before_update(update, CALL)
    yield "wait_for_ingest", sql.reads.missing(WaitForIngest(ids=[MARK], user_id=MARK))


ALL = [
    pytest.param(statement, mode, id=f"{name}-{mode}")
    for mode in get_args(AuditMode)
    for name, statement in statements(mode)
]


@pytest.mark.parametrize(("statement", "mode"), ALL)
def test_a_statement(statement: Statement[Any], mode: AuditMode) -> None:
    assert ";" not in statement.sql
    placeholders = {int(number) for number in re.findall(r"\$(\d+)", statement.sql)}
    assert placeholders == set(range(1, len(statement.args) + 1))
    assert MARK not in statement.sql
    assert MARK in repr(statement.args) or ID in statement.args
    assert "--" not in statement.sql


@pytest.mark.parametrize("mode", get_args(AuditMode))
def test_what_is_logged(mode: AuditMode) -> None:
    writes = {"add", "add superseding", "add once", "update", "update one field", "put", "delete", "log"}
    reads = {"get", "list", "list on", "list oldest", "list updated", "search exact", "search indexed", "context"}
    reads |= {"get by key", "count", f"count {[MARK]}", "count None", "history"}
    reads |= {f"facets by {by}" for by in ("scope", "tag", "app", f"metadata.{MARK}")}
    writing = r"memory_schema\.\w+_memory(_once)?\([^)]*[ (]true[,\s]|INSERT INTO memory_schema\.audit_log"
    calls = {name: statement.sql for name, statement in statements(mode)}
    logged = {name for name, sql in calls.items() if re.search(rf"{writing}|memory_schema\.log_read", sql)}
    assert logged == {"all": writes | reads, "writes": writes, "off": set()}[mode]
    hurried = {name for name, sql in calls.items() if "memory_schema.log_read(" in sql}
    assert hurried == (reads if mode == "all" else set())


def test_the_text_does_not_depend_on_the_values() -> None:
    sql = Statements("openmem", "public", "all")
    bare = sql.searches.exact(Search(query="q", user_id="u"), Call("r"), (), "model", VECTOR, 10)
    search = Search(query=MARK, user_id=MARK, scope=f"{MARK}/*", min_score=1)
    full = sql.searches.exact(search, CALL, WORDS, MARK, VECTOR, 1)
    assert bare.sql is full.sql


OF_ALL_USERS = {
    "count_purged", "count_stale_embeddings", "count_stale_terms", "purge_audit", "purge_ended", "purge_expired",
    "purge_expired_of_shards", "purge_keys_of_shards",
    "stale_embeddings", "stale_terms", "users", "users_of_shards",
}  # fmt: skip
QUERIES = [
    pytest.param(query, id=f"{name}-{mode}")
    for mode in get_args(AuditMode)
    for name, query in Statements("memory_schema", "public", mode).catalog.queries.items()
    if name not in OF_ALL_USERS
]


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_names_the_bucket_of_every_row(query: Query) -> None:
    table = r"memory_schema\.(?:memories|audit_log|idempotency_keys)"
    read = re.findall(rf"(?:FROM|JOIN|UPDATE) {table}\b *(\w*)", query.text)
    named = re.findall(r"(\w+)\.bucket = (?::bucket::smallint|\w+\.bucket|ANY \(:buckets::smallint\[\]\))", query.text)
    assert Counter(read) == Counter(named)
    inserted = re.findall(rf"INSERT INTO {table}[\w ]* \(([^)]+)\)", query.text)
    assert all("bucket" in columns.split(", ") for columns in inserted)


@pytest.mark.parametrize(("statement", "mode"), ALL)
def test_the_bucket_is_that_of_the_user(statement: Statement[Any], mode: AuditMode) -> None:
    [number] = {int(number) for number in re.findall(r"\$(\d+)::smallint", statement.sql)}
    assert statement.args[number - 1] in (bucket_of(MARK), bucket_in(ID))


def test_no_parameter_has_its_number_written_by_hand() -> None:
    """The driver's number of a parameter is written in one place, which is a port."""
    source = Path(openmem.__file__).parent
    numbered = [
        path.name
        for room in (source / "providers/postgres", source / "drivers")
        for path in room.rglob("*")
        if path.suffix in {".py", ".sql"} and re.search(r"\$\d", path.read_text(encoding="utf-8"))
    ]
    assert numbered == []
