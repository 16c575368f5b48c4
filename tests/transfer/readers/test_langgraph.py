"""The store of LangGraph."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from openmem import InvalidRequestError
from openmem.transfer.readers.langgraph import READER

from .reading import lines, lost, only, problems, read, records

ROW = {
    "prefix": "memories.maya.diet", "key": "k1", "value": {"content": "Maya is vegan", "kind": "Fact", "n": {"m": 1}},
    "created_at": "2025-06-01T00:00:00+00:00", "updated_at": "2025-06-02T00:00:00+00:00", "expires_at": None,
    "ttl_minutes": None,
}  # fmt: skip


def test_rows_of_the_table() -> None:
    for data in ([ROW], lines(ROW), {"items": [ROW]}):
        record = only(read(READER, data, user_part="2"))
        assert (record.source_id, record.user_id) == ("memories/maya/diet/k1", "maya")
        assert record.fields == {
            "content": "Maya is vegan",
            "scope": "memories/diet",
            "key": "k1",
            "metadata": {"kind": "Fact", "n": {"m": 1}},
            "created_at": datetime(2025, 6, 1, tzinfo=UTC),
            "updated_at": datetime(2025, 6, 2, tzinfo=UTC),
            "x-langgraph": {"prefix": "memories.maya.diet"},
        }
        assert lost(ROW, [record]) == []


def test_users_are_a_part_of_the_namespace_or_not_said() -> None:
    assert only(read(READER, [ROW], user_part="-2")).user_id == "maya"
    record = only(read(READER, [ROW]))
    assert (record.user_id, record.fields["scope"]) == (None, "memories/maya/diet")
    assert problems(read(READER, [ROW], user_part="9"))[0].source_id == "memories/maya/diet/k1"
    for part in ("x", "0"):
        with pytest.raises(InvalidRequestError, match="user-part"):
            read(READER, [ROW], user_part=part)


@pytest.mark.parametrize(
    ("value", "options", "metadata"),
    [
        ("Maya is vegan", {}, None),
        ({"kind": "Memory", "content": {"content": "Maya is vegan"}}, {}, {"kind": "Memory"}),
        ({"a": {"b": "Maya is vegan", "c": 1}, "text": "x"}, {"text": "value.a.b"}, {"a": {"c": 1}, "text": "x"}),
        ({"memory": "Maya is vegan", "text": " "}, {}, {"text": " "}),
    ],
)
def test_where_the_text_is(value: object, options: dict[str, str], metadata: object) -> None:
    row = {"namespace": ["a", "b/c"], "key": "k", "value": value, "score": 0.5}
    record = only(read(READER, [row], **options))
    assert record.fields["content"] == "Maya is vegan"
    assert record.fields.get("metadata") == metadata
    assert record.fields["scope"] == "a/b-c"
    assert record.fields["x-langgraph"]["namespace"] == ["a", "b/c"]


def test_what_is_no_metadata_is_kept_beside() -> None:
    record = only(read(READER, [ROW | {"value": {"content": "a", "big": "x" * 20_000}}]))
    assert "metadata" not in record.fields
    assert record.fields["x-langgraph"]["value"] == {"big": "x" * 20_000}


def test_rows_without_text_say_what_to_do() -> None:
    rows = [ROW | {"value": {"n": 1}}, {"key": "k", "value": "x"}, {"prefix": "a", "value": "x"}, ROW | {"value": None}]
    found = read(READER, rows)
    assert records(found) == []
    assert "option text" in problems(found)[0].reason
    assert len(problems(found)) == 4
