"""The table of routes: every row says the same in both directions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest

from openmem import (
    AuditEntry,
    ContextBlock,
    Erased,
    Facet,
    InvalidRequestError,
    MemoryPage,
    MemoryRecord,
    Purged,
    SearchResult,
    UserPage,
    UserSummary,
)
from openmem.models import AuditEntries, RestoredMemories
from openmem.operations import (
    VERBS,
    Add,
    AddMany,
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
    Operation,
    Purge,
    Put,
    Restore,
    RestoredMemory,
    Search,
    Update,
    Users,
)
from openmem.providers.supersession import has_ended
from openmem.wire.route import MAX_EXTRA_FIELDS, Route
from openmem.wire.routes import ADD, ROUTES, UPDATE

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
RECORD = MemoryRecord(id="mem_1", content="tea", user_id="u", created_at=NOW, tags=["a"])
TEA = Add(
    content="tea", user_id="u", tags=["a"], valid_to="2026-01-31T12:00:00Z", extensions={"x-a": {"b": None}, "x-c": 1}
)
OPERATIONS: Mapping[str, Operation] = {
    op.verb: op
    for op in (
        TEA,
        AddMany(records=(TEA, Add(content="coffee", user_id="v", supersedes=["mem_1"], supersede_ended=True))),
        Get(id="a/b c%"),
        Update(id="a/b", content="tea", tags=None),
        Delete(id="ü"),
        List(user_id="u", scope=["a/*", "2024"], tag="2024", since=NOW, limit=7, cursor="c", order="oldest"),
        Search(query="2024", user_id="u", limit=3, min_score=0.5),
        Search(query="2024", user_id="u", recency=timedelta(days=30), where={"a.b": {"$in": [1e23, "ü", None]}}),
        Context(query="q", user_id="u", token_budget=9),
        Audit(user_id="u", app="42", since=NOW, limit=4),
        Put(key="a/b", content="tea", user_id="u", metadata={"n": 9}, if_version=0, extensions={"x-a": 1}),
        GetByKey(key="a/b c%", user_id="u", scope="a"),
        DeleteMany(user_id="u", scope=["a", "b/**"], where={"n": {"$gte": 9}}, dry_run=True),
        Count(user_id="u", app="42", tags=["a,b"], any_tags=["[1]", "&="]),
        Facets(user_id="u", by="metadata.a.b", limit=3),
        History(id="a/b c%"),
        Users(prefix="u", limit=3, cursor="c"),
        ForgetUser(user_id="a/b c%"),
        Restore(records=(RestoredMemory(id="mem_1", content="tea", user_id="u", created_at=NOW, version=3),)),
        Purge(ended_before=NOW),
    )
}
RESULTS: Mapping[str, object] = {
    "add": RECORD,
    "add_many": [RECORD, RECORD],
    "get": RECORD,
    "update": RECORD,
    "delete": None,
    "list": MemoryPage(items=[RECORD], next_cursor="c"),
    "search": [SearchResult(memory=RECORD, score=0.5)],
    "context": ContextBlock(text="", citations=[], token_count=0),
    "put": RECORD,
    "get_by_key": RECORD,
    "delete_many": 3,
    "count": 3,
    "facets": [Facet(value="diet", count=3, newest=NOW)],
    "history": [RECORD, RECORD],
    "users": UserPage(items=[UserSummary(user_id="u", count=3, newest=NOW)], next_cursor="c"),
    "forget_user": Erased(memories=3, audit_entries=4),
    "restore": RestoredMemories([RECORD], [RECORD.id]),
    "purge": Purged(memories=3, audit_entries=4),
    "audit": AuditEntries(
        [AuditEntry(timestamp=NOW, app=None, action="add", memory_id="mem_1", scope=None, request_id="r")], "c"
    ),
}


def received(route: Route[Any], op: Operation) -> Operation:
    """The operation as a server reads it."""
    request = route.request(op)
    pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", route.path)
    found = re.fullmatch(pattern, request.path)
    assert found is not None
    path = {name: unquote(value) for name, value in found.groupdict().items()}
    body = None if request.body is None else json.loads(json.dumps(request.body))
    return route.operation(path, request.query or {}, body)


def test_there_is_a_row_for_every_verb_of_the_protocol() -> None:
    assert {route.verb for route in ROUTES} == {verb.verb for verb in VERBS if verb.is_wire_verb}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.verb)
def test_a_request_is_read_as_it_was_meant(route: Route[Any]) -> None:
    op = OPERATIONS[route.verb]
    assert received(route, op) == op
    assert received(route, op).model_fields_set == op.model_fields_set


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.verb)
def test_a_reply_is_read_as_it_was_meant(route: Route[Any]) -> None:
    result = RESULTS[route.verb]
    assert route.reply.decode(json.loads(json.dumps(route.reply.encode(result)))) == result
    assert route.is_empty == (route.status == 204) == (route.reply.schema("{model}") is None)


def test_a_switch_that_is_off_is_not_sent() -> None:
    off = ADD.request(Add(content="tea", user_id="u", supersede_ended=False)).body
    assert off == {"content": "tea", "user_id": "u"}
    assert ADD.request(Add(content="tea", user_id="u", supersede_ended=True)).body == {**off, "supersede_ended": True}


def test_none_is_sent_only_where_it_means_something() -> None:
    assert ADD.request(Add(content="tea", user_id="u", scope=None)).body == {"content": "tea", "user_id": "u"}
    assert UPDATE.request(Update(id="i", scope=None)).body == {"scope": None}


def test_what_newer_clients_send_is_kept_and_bounded() -> None:
    body = {"content": "tea", "user_id": "u", "mood": {"sun": True}}
    op = ADD.operation({}, {}, body)
    assert isinstance(op, Add)
    assert op.extensions == {"mood": {"sun": True}}
    with pytest.raises(InvalidRequestError, match="valid_to"):
        ADD.operation({}, {}, {**body, "valid_until": "2026-01-31"})
    with pytest.raises(InvalidRequestError, match=r"at most|not a field"):
        ADD.operation({}, {}, {**body, **{f"f{number}": 1 for number in range(MAX_EXTRA_FIELDS + 1)}})
    with pytest.raises(InvalidRequestError, match="mood: it is not a field of a memory that update can set"):
        UPDATE.operation({"id": "i"}, {}, {"content": "tea", "mood": 1})


def test_what_a_conflict_asks_for_can_be_done_in_python_and_in_json() -> None:
    assert has_ended(["mem_1"]).message.endswith("or set supersede_ended to true")
