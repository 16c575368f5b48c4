"""The SQL of the verbs, without a server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from openmem._cursor import Position, encode_cursor
from openmem.access import Grants
from openmem.config import AuditMode
from openmem.io import Statement
from openmem.operations import Add, Audit, Context, Delete, Get, List, Search, Update, WaitForIngest
from openmem.providers.base import Call
from openmem.providers.postgres.statements import Statements

MARK = "Zanzibar"
VECTOR = [0.25, 0.5]
NOW = datetime(2024, 1, 1, tzinfo=UTC)
CALL = Call(f"{MARK}-request", f"{MARK}-app", Grants.parse([f"{access}:{MARK}/*" for access in ("read", "write")]))


def statements(audit: AuditMode) -> Iterator[tuple[str, Statement[Any]]]:
    sql = Statements("memory_schema", '"Vector Schema"', audit)
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
    page = List(user_id=MARK, scope=f"{MARK}/a", tag=MARK, since=NOW, until=NOW, limit=3)
    cursor = encode_cursor(page, Position(NOW, MARK))
    update = Update(id=MARK, content=MARK, scope=MARK, tags=[MARK], confidence=1, valid_to=NOW, supersedes=["m"])
    search = Search(query=MARK, user_id=MARK, scope=f"{MARK}/*", min_score=0.5)
    context = Context(query=MARK, user_id=MARK, scope=f"{MARK}/a")
    yield "add", sql.add("mem_1", add, CALL, MARK, VECTOR)
    yield "add superseding", sql.add("mem_1", add.model_copy(update={"supersedes": (MARK,)}), CALL, MARK, VECTOR)
    yield "get", sql.get(Get(id=MARK), CALL)
    yield "update", sql.update(update, CALL, MARK, VECTOR)
    yield "update one field", sql.update(Update(id=MARK, confidence=None), CALL, MARK, None)
    yield "delete", sql.delete(Delete(id=MARK), Call(MARK))
    yield "list", sql.list(page, CALL)
    yield "list on", sql.list(page.model_copy(update={"cursor": cursor}), CALL)
    yield "search", sql.search(search, CALL, MARK, VECTOR, limit=5)
    yield "context", sql.search(context, CALL, MARK, VECTOR, limit=5)
    yield "audit", sql.audit(Audit(user_id=MARK, app=MARK, since=NOW), CALL)
    yield "wait_for_ingest", sql.missing(WaitForIngest(ids=[MARK], user_id=MARK))


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
    assert MARK in repr(statement.args)
    assert "--" not in statement.sql


@pytest.mark.parametrize("mode", get_args(AuditMode))
def test_what_is_logged(mode: AuditMode) -> None:
    writes = {"add", "add superseding", "update", "update one field", "delete"}
    reads = {"get", "list", "list on", "search", "context"}
    logged = {name for name, statement in statements(mode) if "INSERT INTO memory_schema.audit_log" in statement.sql}
    assert logged == {"all": writes | reads, "writes": writes, "off": set()}[mode]
    hurried = {name for name, statement in statements(mode) if "synchronous_commit" in statement.sql}
    assert hurried == (reads if mode == "all" else set())


def test_the_text_does_not_depend_on_the_values() -> None:
    sql = Statements("openmem", "public", "all")
    bare = sql.search(Search(query="q", user_id="u"), Call("r"), "model", VECTOR, limit=10)
    full = sql.search(Search(query=MARK, user_id=MARK, scope=f"{MARK}/*", min_score=1), CALL, MARK, VECTOR, limit=1)
    assert bare.sql is full.sql
