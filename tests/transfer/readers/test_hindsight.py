"""The archive of a bank of Hindsight."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from openmem import InvalidRequestError
from openmem.transfer.readers.hindsight import READER

from .reading import losses, lost, problems, read, records, zipped

FACT = {
    "text": "Maya moved to Porto", "fact_type": "world", "context": "chat", "occurred_start": "2020-01-01T00:00:00Z",
    "occurred_end": "2020-01-02T00:00:00Z", "mentioned_at": "2025-06-01T00:00:00Z", "tags": ["home"],
    "metadata": {"n": "1"}, "entities": ["Maya"], "chunk_index": 0,
    "causal_relations": [{"relation_type": "caused_by", "target_fact_index": 0}], "created_at": None,
}  # fmt: skip
DOCUMENT = {
    "id": "doc 1", "original_text": "I moved…", "tags": ["chat"], "created_at": "2025-06-02T00:00:00Z",
    "chunks": [{"chunk_index": 0, "chunk_text": "I moved…"}], "facts": [FACT, "bent", FACT | {"text": None}],
}  # fmt: skip
OBSERVATION = {"text": "Maya moves often", "proof_count": 2, "sources": [{"document_id": "doc 1", "fact_index": 0}]}
MANIFEST = {"schema_version": 1, "source_bank_id": "maya", "document_count": 1}


def test_facts_and_observations() -> None:
    found = read(
        READER,
        zipped(
            {
                "manifest.json": MANIFEST,
                "documents/000000.json": DOCUMENT,
                "documents/000001.json": "{",
                "observations.json": [OBSERVATION],
                "history/audit_log.json": [],
            }
        ),
    )
    moved, often = records(found)
    assert (moved.source_id, moved.user_id) == ("doc 1#0", "maya")
    assert moved.fields == {
        "content": "Maya moved to Porto",
        "scope": "world",
        "tags": ["home"],
        "metadata": {"n": "1"},
        "created_at": datetime(2025, 6, 2, tzinfo=UTC),
        "valid_from": datetime(2020, 1, 1, tzinfo=UTC),
        "x-hindsight": {
            "fact_type": "world", "context": "chat", "occurred_end": "2020-01-02T00:00:00Z", "entities": ["Maya"],
            "chunk_index": 0, "causal_relations": FACT["causal_relations"],
            "mentioned_at": "2025-06-01T00:00:00Z", "document": {"id": "doc 1", "tags": ["chat"]},
        },
    }  # fmt: skip
    assert often.fields["scope"] == "observation"
    assert lost([FACT, OBSERVATION], [moved, often]) == []
    assert [str(problem.place) for problem in problems(found)] == [
        "documents/000000.json, item 2",
        "documents/000000.json, item 3",
        "documents/000001.json",
    ]
    assert sorted(losses(found)) == ["hindsight.audit_log", "hindsight.chunks", "hindsight.original_text"]


def test_other_archives_are_refused() -> None:
    for files in ({"a": "b"}, {"manifest.json": "{"}, {"manifest.json": {"version": 1}}):
        with pytest.raises(InvalidRequestError, match="Hindsight"):
            read(READER, zipped(files))
