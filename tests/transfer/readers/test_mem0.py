"""What mem0 gives out."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from openmem import InvalidRequestError, MemoryRecord
from openmem.providers.vendors.envelope import encode
from openmem.transfer.readers.mem0 import READER

from .reading import lines, lost, only, problems, read, records

OSS = {
    "id": "8d4f0f3e-0001",
    "memory": "Maya is vegan",
    "hash": "5f2b",
    "metadata": {"topic": "diet"},
    "score": 0.7,
    "created_at": "2025-06-01T09:30:00.123456-07:00",
    "updated_at": "2025-06-02T09:30:00+00:00",
    "user_id": "maya",
    "agent_id": "cook",
    "run_id": "r1",
    "actor_id": "maya",
    "role": "user",
}
PLATFORM = {
    "id": "8d4f0f3e-0002",
    "memory": "Maya lives in Porto",
    "user_id": "maya",
    "app_id": None,
    "metadata": None,
    "categories": ["travel", "home"],
    "created_at": "2025-06-01T09:30:00Z",
    "updated_at": "2025-06-01T09:30:00Z",
    "expiration_date": "2025-07-31",
    "immutable": False,
}


def test_an_answer_of_get_all() -> None:
    record = only(read(READER, {"results": [OSS]}))
    assert (record.source_id, record.user_id) == ("8d4f0f3e-0001", "maya")
    assert record.fields == {
        "content": "Maya is vegan",
        "scope": "agents/cook/runs/r1",
        "metadata": {"topic": "diet"},
        "created_at": datetime(2025, 6, 1, 16, 30, 0, 123456, UTC),
        "updated_at": datetime(2025, 6, 2, 9, 30, tzinfo=UTC),
        "x-mem0": {
            "hash": "5f2b",
            "created_at": "2025-06-01T09:30:00.123456-07:00",
            "agent_id": "cook",
            "run_id": "r1",
            "actor_id": "maya",
            "role": "user",
        },
    }
    assert lost(OSS, [record]) == [0.7], "the score is of a query, not of a memory"


def test_pages_of_the_platform_one_after_the_other() -> None:
    pages = [{"count": 2, "next": None, "results": [row]} for row in (OSS, PLATFORM)]
    first, second = records(read(READER, lines(*pages)))
    assert first.place.line == 1
    assert second.fields["tags"] == ["travel", "home"]
    assert second.fields["valid_to"] == datetime(2025, 8, 1, tzinfo=UTC), "the day is included"
    assert second.fields["x-mem0"] == {"expiration_date": "2025-07-31", "immutable": False}
    assert lost(PLATFORM, [second]) == []


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("count", [2, 500])
def test_an_array_a_page_or_lines_however_long(indent: int | None, count: int) -> None:
    rows = [OSS | {"id": f"{number:08}"} for number in range(count)]
    for document in (rows, {"results": rows}, {"count": count, "next": None, "results": rows}):
        found = records(read(READER, json.dumps(document, indent=indent)))
        assert [record.source_id for record in found] == [row["id"] for row in rows]
    assert len(records(read(READER, lines(*rows)))) == count


def test_points_of_qdrant() -> None:
    payload = {
        "data": "Maya is vegan", "hash": "5f2b", "created_at": "2025-06-01T09:30:00Z", "user_id": "maya",
        "text_lemmatized": "maya be vegan", "attributed_to": "user", "topic": "diet", "depth": {"n": 1},
    }  # fmt: skip
    point = {"id": "8d4f0f3e-0003", "payload": payload}
    for document in ([point], {"points": [point]}, {"result": {"points": [point], "next_page_offset": None}}):
        record = only(read(READER, document))
        assert record.source_id == "8d4f0f3e-0003"
        assert record.fields["metadata"] == {"topic": "diet", "depth": {"n": 1}}
        assert record.fields["x-mem0"] == {"hash": "5f2b", "attributed_to": "user"}
        assert lost(point, [record]) == ["maya be vegan"], "it is computed from the text"


def test_the_file_of_the_migration_script() -> None:
    payload = {"data": "Maya is vegan", "hash": "5f2b", "user_id": "maya", "topic": "diet", "attributed_to": "user"}
    artifact = {
        "version": 1, "kind": "mem0_oss_qdrant_export", "source": {"vector_store": "qdrant"}, "record_count": 1,
        "records": [
            {"id": "1", "memory": "Maya is vegan", "hash": "5f2b", "user_id": "maya", "metadata": {"topic": "diet"},
             "source": "python_oss_qdrant", "source_payload": payload}
        ],
    }  # fmt: skip
    record = only(read(READER, artifact))
    assert record.fields["metadata"] == {"topic": "diet"}
    assert record.fields["x-mem0"] == {"hash": "5f2b", "attributed_to": "user", "source": "python_oss_qdrant"}


def test_a_file_of_the_command_line() -> None:
    rows = [{"memory": "a"}, {"text": "b", "user_id": "maya"}, {"content": "c", "metadata": {"n": 1}}]
    found = records(read(READER, rows))
    assert [(record.fields["content"], record.user_id) for record in found] == [("a", None), ("b", "maya"), ("c", None)]


def test_users_can_be_another_entity() -> None:
    row = {"id": "1", "memory": "a", "agent_id": "cook", "session_id": "s"}
    assert only(read(READER, [row])).user_id is None
    assert only(read(READER, [row], user_from="agent")).user_id == "cook"
    assert only(read(READER, [row], user_from="run")).user_id == "s"
    with pytest.raises(InvalidRequestError, match="user-from"):
        read(READER, [row], user_from="planet")


def test_history_becomes_a_chain() -> None:
    def row(number: int, event: str, old: str | None, new: str | None, day: int) -> dict[str, object]:
        return {
            "id": f"h{number}", "memory_id": "m", "old_memory": old, "new_memory": new, "event": event,
            "created_at": "2025-06-01T00:00:00Z", "updated_at": f"2025-06-{day:02}T00:00:00Z", "role": "user",
        }  # fmt: skip

    rows = [
        row(2, "UPDATE", "Porto", "Porto", 2),
        row(3, "UPDATE", "Porto", "Lisbon", 3),
        row(1, "ADD", None, "Porto", 1),
        row(4, "DELETE", "Lisbon", None, 9),
    ]
    porto, lisbon = records(read(READER, rows))
    assert (porto.source_id, porto.fields["content"]) == ("m@h1", "Porto")
    assert porto.fields["valid_to"] == lisbon.fields["valid_from"] == datetime(2025, 6, 3, tzinfo=UTC)
    assert lisbon.fields["supersedes"] == ["m@h1"]
    assert lisbon.fields["valid_to"] == datetime(2025, 6, 9, tzinfo=UTC)


def test_what_openmem_keeps_in_mem0_is_whole() -> None:
    record = MemoryRecord(
        id="mem_1", content="Maya is vegan", user_id="maya x", created_at=datetime(2025, 1, 1, tzinfo=UTC),
        scope="diet", tags=["food"], confidence=0.5, valid_from=datetime(2024, 1, 1, tzinfo=UTC),
        metadata={"topic": "diet"}, key="k", **{"x-app": {"n": 1}},
    )  # fmt: skip
    row = {"id": "1", "memory": "Maya is vegan", "user_id": "maya%20x", "metadata": encode(record) | {"topic": "diet"}}
    found = only(read(READER, [row | {"created_at": "2026-01-01T00:00:00Z", "hash": "5"}]))
    assert (found.source_id, found.user_id) == ("1", "maya x")
    expected = record.model_dump(exclude={"id", "user_id", "status", "indexed", "version"}, exclude_none=True)
    assert found.fields == expected
    other = only(read(READER, [row | {"user_id": "eve"}]))
    assert (other.user_id, other.fields.get("scope")) == ("eve", None), "an envelope does not say whose a memory is"


def test_an_export_that_a_model_wrote_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="/v3/memories/"):
        read(READER, {"name": "Maya", "diet": "vegan"})


def test_bent_records_are_problems() -> None:
    text = lines(
        OSS, '{"id": "2", "memory": NaN}', {"id": "3", "memory": 7}, [], OSS | {"id": "4", "created_at": "now"}
    )
    found = read(READER, text)
    assert [problem.place.line for problem in problems(found)] == [2, 3, 4]
    assert records(found)[1].fields["x-mem0"]["created_at"] == "now"
