"""A selection: what each filter lets pass, and what the queries select."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from openmem._scopes import ScopeFilter
from openmem.access import UNRESTRICTED, Grants
from openmem.errors import ScopeDeniedError
from openmem.models import MemoryRecord
from openmem.operations import Context, List, Search
from openmem.selection import Position, Selection

NOW = datetime(2024, 5, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)
RECORD = MemoryRecord(id="m", content="tea", user_id="u", created_at=NOW - HOUR, scope="food/drinks", tags=["a", "b"])


@pytest.mark.parametrize(
    ("filters", "is_selected"),
    [
        ({}, True),
        ({"user_id": "v"}, False),
        ({"scopes": ScopeFilter.of(["food/*"])}, True),
        ({"scopes": ScopeFilter.of(["food"])}, False),
        ({"tag": "b"}, True),
        ({"tag": "c"}, False),
        ({"since": NOW - HOUR}, True),
        ({"since": NOW}, False),
        ({"until": NOW}, True),
        ({"until": NOW - HOUR}, False),
        ({"behind": Position(NOW - HOUR, "n")}, True),
        ({"behind": Position(NOW - HOUR, "m")}, False),
        ({"tag": "a", "until": NOW - HOUR}, False),
    ],
    ids=str,
)
def test_filters(filters: dict[str, Any], is_selected: bool) -> None:
    assert Selection(**{"user_id": "u"} | filters).matches(RECORD, NOW) == is_selected


@pytest.mark.parametrize(
    ("valid_from", "valid_to", "is_valid"),
    [
        (None, None, True),
        (NOW, None, True),
        (NOW + HOUR, None, False),
        (None, NOW, False),
        (None, NOW + HOUR, True),
        (NOW, NOW, False),
    ],
)
def test_validity(valid_from: datetime | None, valid_to: datetime | None, is_valid: bool) -> None:
    record = RECORD.model_copy(update={"valid_from": valid_from, "valid_to": valid_to})
    assert Selection("u", only_valid=True).matches(record, NOW) == is_valid
    assert Selection("u").matches(record, NOW)


def test_what_the_queries_select() -> None:
    page = List(user_id="u", scope="food", tag="a", since=NOW)
    cursor = page.cursor_after(RECORD)
    next_page = page.model_copy(update={"cursor": cursor})
    food = ScopeFilter.of(["food"])
    assert next_page.selection(UNRESTRICTED) == Selection("u", food, "a", NOW, behind=Position.of(RECORD))
    searched = Search(query="q", user_id="u", scope="food").selection(UNRESTRICTED)
    assert searched == Selection("u", food, only_valid=True, only_indexed=True)
    context = Context(query="q", user_id="u", scope="food")
    subtree = Selection("u", ScopeFilter.of(["food"], subtree=True), only_valid=True, only_indexed=True)
    assert context.selection(UNRESTRICTED) == context.as_search(3).selection(UNRESTRICTED) == subtree


def test_grants_narrow_a_selection() -> None:
    grants = Grants.parse(["read:food/*"])
    assert Search(query="q", user_id="u").selection(grants).scopes == ScopeFilter.of(["food/*"])
    with pytest.raises(ScopeDeniedError):
        Search(query="q", user_id="u", scope="work").selection(grants)
