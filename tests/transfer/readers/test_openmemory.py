"""The backup of OpenMemory."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from typing import Any

import pytest

from openmem import InvalidRequestError
from openmem.transfer.readers.openmemory import READER

from .reading import lines, losses, lost, only, problems, read, records, zipped


def memory(id: str, state: str, **fields: object) -> dict[str, Any]:
    return {
        "id": id, "user_id": "u-1", "app_id": "a-1", "content": f"fact {id}", "metadata": {"n": 1}, "state": state,
        "created_at": "2025-06-01T00:00:00+00:00", "updated_at": "2025-06-05T00:00:00+00:00",
        "archived_at": None, "deleted_at": None, "category_ids": ["c-1"],
    } | fields  # fmt: skip


TABLES: dict[str, Any] = {
    "user": {"id": "u-1", "user_id": "maya", "name": "Maya", "email": None},
    "apps": [{"id": "a-1", "name": "cursor", "is_active": True}],
    "categories": [{"id": "c-1", "name": "food", "description": "What one eats"}],
    "memories": [
        memory("1", "active"),
        memory("2", "deleted", deleted_at="2025-06-04T00:00:00+00:00"),
        memory("3", "archived"),
        memory("4", "paused"),
        "bent",
        memory("6", "active", content=""),
    ],
    "memory_categories": [{"memory_id": "1", "category_id": "c-1"}],
    "status_history": [
        {"id": "s", "memory_id": "4", "old_state": "active", "new_state": "paused", "changed_at": "2025-06-03T00:00:00"}
    ],
    "access_controls": [
        {"id": "x", "subject_type": "app", "object_type": "memory", "object_id": "1", "effect": "deny"}
    ],
    "export_meta": {"version": "1"},
}


def test_memories_with_what_other_tables_say_of_them() -> None:
    found = read(READER, zipped({"memories.json": TABLES}))
    active, deleted, archived, paused = records(found)
    assert active.user_id == "maya"
    assert active.fields == {
        "content": "fact 1",
        "tags": ["food"],
        "metadata": {"n": 1},
        "source": {"type": "imported", "ref": "1", "app": "cursor"},
        "created_at": datetime(2025, 6, 1, tzinfo=UTC),
        "updated_at": datetime(2025, 6, 5, tzinfo=UTC),
        "x-openmemory": {
            "state": "active",
            "app": TABLES["apps"][0],
            "categories": TABLES["categories"],
            "access_controls": TABLES["access_controls"],
        },
    }
    ends = [record.fields.get("valid_to") for record in (active, deleted, archived, paused)]
    assert ends == [None, *(datetime(2025, 6, day, tzinfo=UTC) for day in (4, 5, 3))]
    assert [problem.place.item for problem in problems(found)] == [5, 6]
    assert losses(found) == ["openmemory.user"]
    assert lost({**TABLES, "memories": TABLES["memories"][:4]}, records(found)) == ["u-1", "Maya", *["u-1"] * 4]


def test_lines_are_read_where_the_tables_are_missing() -> None:
    row: dict[str, Any] = {"id": "1", "content": "fact", "metadata": {}, "created_at": None,
                           "state": "archived", "app": "cursor",
           "updated_at": "2025-06-05T00:00:00+00:00", "categories": ["food"]}  # fmt: skip
    record = only(read(READER, zipped({"backup/memories.jsonl.gz": gzip.compress(lines(row).encode())})))
    assert record.user_id is None
    assert record.fields["tags"] == ["food"]
    assert record.fields["source"]["app"] == "cursor"
    assert record.fields["valid_to"] == datetime(2025, 6, 5, tzinfo=UTC)
    assert lost(row, [record]) == []


def test_other_archives_are_refused() -> None:
    for data in (zipped({"a.json": "{}"}), zipped({"memories.json": "[]"}), b"PK"):
        with pytest.raises(InvalidRequestError):
            read(READER, data)
