"""Portable AI Memory, read and written."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmem import InvalidRequestError, MemoryRecord
from openmem.models import MemorySource
from openmem.transfer.readers.canonical_json import canonical
from openmem.transfer.readers.pam import READER
from openmem.transfer.readers.pam_terms import content_hash
from openmem.transfer.readers.pam_writer import pam_document
from openmem.transfer.records import SourceRecord

from ...properties.strategies import ALPHABET, documents, names, scopes, texts
from .reading import losses, lost, only, problems, read, records


def memory(id: str, content: str, **fields: object) -> dict[str, Any]:
    return {
        "id": id, "type": "fact", "custom_type": None, "status": "active", "content": content,
        "content_hash": content_hash(content), "summary": "short", "tags": ["home"],
        "confidence": {"initial": 0.75, "current": 0.5, "decay_model": "none"},
        "temporal": {"created_at": "2025-06-01T00:00:00Z", "updated_at": None, "valid_from": "2020-01-01T00:00:00Z",
                     "valid_until": None, "superseded_by": None},
        "provenance": {"platform": "claude", "conversation_ref": "c-1", "extraction_method": "llm_inference"},
        "access": {"visibility": "private"}, "embedding_ref": None, "metadata": {"language": "en", "n": 1},
    } | fields  # fmt: skip


def document(*memories: object, **fields: object) -> dict[str, Any]:
    return {
        "schema": "portable-ai-memory", "schema_version": "1.0", "owner": {"id": "maya"}, "memories": [*memories],
    } | fields  # fmt: skip


def test_a_memory() -> None:
    row = memory("m1", "Maya is vegan")
    record = only(read(READER, document(row)))
    assert (record.source_id, record.user_id) == ("m1", "maya")
    assert record.fields == {
        "content": "Maya is vegan",
        "tags": ["home", "fact"],
        "metadata": {"language": "en", "n": 1},
        "confidence": 0.5,
        "source": {"type": "imported", "ref": "m1", "app": "claude"},
        "created_at": datetime(2025, 6, 1, tzinfo=UTC),
        "valid_from": datetime(2020, 1, 1, tzinfo=UTC),
        "x-pam": {
            "type": "fact",
            "summary": "short",
            "access": {"visibility": "private"},
            "confidence": {"initial": 0.75, "decay_model": "none"},
            "provenance": {"conversation_ref": "c-1", "extraction_method": "llm_inference"},
        },
    }
    assert lost(row, [record]) == ["active", content_hash("Maya is vegan")], "what is so unless said, and computed"


def test_chains_and_states() -> None:
    times = {"created_at": "2024-01-01T00:00:00Z", "valid_until": "2030-01-01T00:00:00Z", "superseded_by": "new"}
    rows = [
        memory("old", "Porto", status="superseded", temporal=times),
        memory("new", "Lisbon"),
        memory("gone", "Faro", status="retracted", temporal={"created_at": "2024-01-01T00:00:00Z"}),
        memory("by relation", "Braga"),
    ]
    relations = [
        {"id": "r1", "from": "by relation", "to": "new", "type": "supersedes", "created_at": "2025-01-01T00:00:00Z"},
        {"id": "r2", "from": "nobody", "to": "new", "type": "supports"},
    ]
    found = read(READER, document(*rows, relations=relations, conversations_index=[{"id": "c-1"}]))
    old, new, gone, braga = records(found)
    assert old.fields["valid_to"] == new.fields["valid_from"]
    assert new.fields["supersedes"] == ["old"]
    assert gone.fields["valid_to"] == datetime(2024, 1, 1, tzinfo=UTC)
    assert braga.fields["supersedes"] == ["new"]
    assert braga.fields["x-pam"]["relations"] == relations[:1]
    assert losses(found) == ["pam.conversations_index", "pam.relations"]
    assert lost(rows[0], [old, new]) == [content_hash("Porto")]


def test_bent_memories_and_documents() -> None:
    rows = [memory("m1", " "), 7, memory("m2", "x", temporal=7, provenance=None, confidence={"current": 9}, tags="a")]
    found = read(READER, document(*rows, owner=None))
    assert [problem.place.item for problem in problems(found)] == [1, 2]
    [record] = records(found)
    assert record.fields["x-pam"]["confidence"] == {"current": 9}
    others: list[Any] = [{}, [], {"schema": "portable-ai-memory"}, document(schema_version="2.0")]
    for other in others:
        with pytest.raises(InvalidRequestError):
            read(READER, other)


def test_a_checksum_is_compared() -> None:
    rows = [{"id": "b", "n": 1.0, "é": [1e21, 1e-7]}, {"id": "a", "n": -0.0}]
    assert canonical(sorted(rows, key=lambda row: str(row["id"]))) == (
        '[{"id":"a","n":0},{"id":"b","n":1,"é":[1e+21,1e-7]}]'
    )
    written = pam_document([record_of("1", "x")], "maya", exported_at=datetime.now(UTC), exporter="openmem/0.2.0")
    assert problems(read(READER, written)) == []
    written["memories"][0]["content"] = "y"
    assert "checksum" in problems(read(READER, written))[0].reason


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.1, "0.1"), (1e20, "100000000000000000000"), (123456.789, "123456.789"), (5e-324, "5e-324"),
        (1e-6, "0.000001"), (1.5e300, "1.5e+300"), (-4.0, "-4"), (2**60, "1152921504606847000"), (1e23, "1e+23"),
        (1.7976931348623157e308, "1.7976931348623157e+308"), (0.00001, "0.00001"), (2**53 - 1, "9007199254740991"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_ecmascript_does(number: float, text: str) -> None:
    assert canonical(number) == text


def record_of(id: str, content: str, **fields: Any) -> MemoryRecord:
    return MemoryRecord(id=id, content=content, user_id="maya", created_at=datetime(2025, 1, 2, tzinfo=UTC), **fields)


moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
memories = st.builds(
    lambda content, optional, extension: record_of("mem", content, **optional, **extension),
    texts,
    st.fixed_dictionaries(
        {},
        optional={
            "scope": scopes,
            "tags": st.lists(names | st.sampled_from(["home", "fact"]), min_size=1, max_size=3),
            "source": st.builds(MemorySource, app=names | st.just("claude"), type=st.just("explicit")),
            "confidence": st.floats(0, 1),
            "valid_from": moments,
            "metadata": st.dictionaries(
                st.text(ALPHABET, max_size=8) | st.just("openmem"), documents, min_size=1, max_size=3
            ),
            "key": names,
            "version": st.integers(1, 9),
            "expires_at": moments,
            "indexed": st.just(False),
        },
    ),
    st.fixed_dictionaries(
        {}, optional={"x-app": documents.filter(lambda value: value is not None), "x-pam": documents}
    ),
)


@settings(max_examples=25)
@given(st.lists(memories, max_size=4))
def test_what_was_written_is_read_as_it_was(drafts: list[MemoryRecord]) -> None:
    written = [
        draft.model_copy(update={"id": f"mem_{number}", "supersedes": [f"mem_{number - 1}"] if number == 2 else None})
        for number, draft in enumerate(drafts)
    ]
    sent = json.dumps(pam_document(written, "maya", exported_at=datetime.now(UTC), exporter="openmem/0.2.0"))
    found = [item for item in read(READER, sent) if isinstance(item, SourceRecord)]
    assert [item for item in read(READER, sent) if not isinstance(item, SourceRecord)] == []
    for item, record in zip(sorted(found, key=lambda item: item.source_id), written, strict=True):
        fields = {name: value for name, value in item.fields.items() if name != "x-pam"}
        read_back = MemoryRecord.model_validate(fields | {"id": item.source_id, "user_id": item.user_id})
        expected = record.model_copy(update={"x-pam": None}).to_wire()
        expected.pop("x-pam")
        assert read_back.to_wire() == expected
