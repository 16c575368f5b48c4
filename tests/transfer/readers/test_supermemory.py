"""Pages of Supermemory."""

from __future__ import annotations

from datetime import UTC, datetime

from openmem import MemoryRecord
from openmem.providers.vendors.envelope import encode
from openmem.transfer.readers.supermemory import READER

from .reading import lines, lost, only, problems, read, records

PORTO = {
    "id": "m1", "memory": "Maya lives in Porto", "version": 1, "parentMemoryId": None, "rootMemoryId": "m1",
    "isLatest": False, "isForgotten": False, "isStatic": False, "spaceContainerTag": "maya", "metadata": {"n": 1},
    "createdAt": "2025-06-01T00:00:00.000Z", "updatedAt": "2025-06-02T00:00:00.000Z",
}  # fmt: skip
LISBON = PORTO | {
    "id": "m2", "memory": "Maya lives in Lisbon", "version": 2, "parentMemoryId": "m1", "isLatest": True,
    "memoryRelations": {"m1": "updates", "m9": "extends"},
}  # fmt: skip
FORGOTTEN = PORTO | {"id": "m3", "isForgotten": True, "forgetReason": "asked to"}
PASSING = PORTO | {"id": "m4", "forgetAfter": "2025-12-31T00:00:00Z", "parentMemoryId": "m3"}


def test_chains_of_memories() -> None:
    found = records(read(READER, lines({"memoryEntries": [PORTO, LISBON]}, {"memoryEntries": [FORGOTTEN, PASSING]})))
    porto, lisbon, forgotten, passing = found
    assert porto.user_id == "maya"
    assert porto.fields == {
        "content": "Maya lives in Porto",
        "metadata": {"n": 1},
        "version": 1,
        "created_at": datetime(2025, 6, 1, tzinfo=UTC),
        "updated_at": datetime(2025, 6, 2, tzinfo=UTC),
        "x-supermemory": {"rootMemoryId": "m1", "isLatest": False, "isForgotten": False, "isStatic": False},
    }
    assert (lisbon.fields["supersedes"], lisbon.fields["version"]) == (["m1"], 2)
    assert forgotten.fields["valid_to"] == datetime(2025, 6, 2, tzinfo=UTC)
    assert passing.fields["supersedes"] == ["m3"]
    assert passing.fields["valid_to"] == datetime(2025, 12, 31, tzinfo=UTC)
    assert lost([PORTO, LISBON, FORGOTTEN, PASSING], found) == []


def test_a_relation_that_replaces_nothing() -> None:
    row = LISBON | {"memoryRelations": {"m1": "extends"}}
    record = only(read(READER, [row]))
    assert "supersedes" not in record.fields
    assert record.fields["x-supermemory"]["memoryRelations"] == {"m1": "extends"}
    assert lost(row, [record]) == []


def test_documents() -> None:
    row = {
        "id": "d1", "content": "Maya is vegan", "title": "Diet", "summary": "…", "containerTags": ["maya"],
        "status": "done",
        "metadata": {"n": 1}, "createdAt": "2025-06-01T00:00:00Z", "updatedAt": "2025-06-02T00:00:00Z",
    }  # fmt: skip
    for data in ({"documents": [row]}, {"memories": [row], "pagination": {"totalItems": 1}}, [row], lines(row)):
        record = only(read(READER, data))
        assert record.user_id == "maya"
        assert record.fields["x-supermemory"] == {"title": "Diet", "summary": "…", "status": "done"}
        assert lost(row, [record]) == []
    assert only(read(READER, [row | {"containerTags": ["a", "b"]}])).user_id is None
    assert "GET /v3/documents" in problems(read(READER, [{"id": "d2", "title": "Diet"}]))[0].reason


def test_what_openmem_keeps_in_supermemory_is_whole() -> None:
    record = MemoryRecord(
        id="x",
        content="Maya",
        user_id="maya",
        created_at=datetime(2025, 1, 1, tzinfo=UTC),
        scope="a",
        metadata={"n": 1},
    )
    row = {"id": "d1", "content": "Maya", "metadata": encode(record), "containerTags": ["openmem_maya"]}
    found = only(read(READER, [row]))
    assert found.user_id == "maya"
    assert found.fields == {"content": "Maya", "created_at": record.created_at, "scope": "a", "metadata": {"n": 1}}
