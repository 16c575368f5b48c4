"""Edges of Zep and Graphiti."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from openmem.transfer.formats import Reader
from openmem.transfer.readers.graph import GRAPHITI_READER, ZEP_READER

from .reading import lines, lost, only, problems, read, records

EDGE = {
    "uuid": "e1", "name": "LIVES_IN", "fact": "Maya lives in Porto", "created_at": "2025-06-01T00:00:00Z",
    "valid_at": "2020-01-01T00:00:00Z", "invalid_at": "2025-05-01T00:00:00Z", "expired_at": "2025-06-03T00:00:00Z",
    "source_node_uuid": "n1", "target_node_uuid": "n2", "source_node_name": "Maya", "episodes": ["ep1"],
    "attributes": {"n": 1}, "fact_embedding": [0.25],
}  # fmt: skip


@pytest.mark.parametrize(("reader", "owner"), [(ZEP_READER, "user_id"), (GRAPHITI_READER, "group_id")])
def test_a_fact(reader: Reader, owner: str) -> None:
    row = EDGE | {owner: "maya"}
    for data in ([row], lines(row), {"edges": [row]}):
        record = only(read(reader, data))
        assert (record.source_id, record.user_id) == ("e1", "maya")
        assert record.fields == {
            "content": "Maya lives in Porto",
            "tags": ["LIVES_IN"],
            "created_at": datetime(2025, 6, 1, tzinfo=UTC),
            "valid_from": datetime(2020, 1, 1, tzinfo=UTC),
            "valid_to": datetime(2025, 5, 1, tzinfo=UTC),
            f"x-{reader.format}": {
                "name": "LIVES_IN", "expired_at": "2025-06-03T00:00:00Z",
                "source_node_uuid": "n1", "target_node_uuid": "n2", "source_node_name": "Maya", "episodes": ["ep1"],
                "attributes": {"n": 1},
            },
        }  # fmt: skip
        assert lost(row, [record]) == [0.25], "vectors are made anew"


def test_when_a_fact_ended() -> None:
    expired = only(read(ZEP_READER, [EDGE | {"invalid_at": None}]))
    assert expired.fields["valid_to"] == datetime(2025, 6, 3, tzinfo=UTC)
    before = EDGE | {"valid_at": "2026-01-01T00:00:00Z"}
    record = only(read(ZEP_READER, [before]))
    assert "valid_from" not in record.fields, "it ended before it began"
    assert lost(before, [record]) == [0.25]


def test_entities_with_a_summary() -> None:
    node = {"uuid": "n1", "name": "Maya", "summary": "A baker", "labels": ["Person"], "group_id": "maya"}
    found = read(GRAPHITI_READER, {"nodes": [node, node | {"summary": ""}], "edges": [EDGE]})
    porto, baker = records(found)
    assert baker.fields["scope"] == "entities"
    assert porto.fields["content"] == "Maya lives in Porto"
    assert lost(node, [baker]) == []
    assert len(problems(found)) == 1
