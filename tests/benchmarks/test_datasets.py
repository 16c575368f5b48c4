"""The data of the benchmarks: read from a folder, or made up."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.datasets import Data, invented


def written(folder: Path, name: str, rows: list[dict[str, object]]) -> None:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_a_folder_is_read(tmp_path: Path) -> None:
    written(
        tmp_path,
        "memories.jsonl",
        [
            {"user_id": "b", "ref": "1", "content": "tea", "valid_from": "2026-01-01T00:00:00Z"},
            {"user_id": "a", "ref": "1", "content": "coffee"},
        ],
    )
    written(
        tmp_path,
        "questions.jsonl",
        [
            {"user_id": "a", "question": "what?", "evidence": ["1"]},
            {"user_id": "b", "question": "who?", "evidence": []},
        ],
    )
    data = Data.of(tmp_path)
    assert data.name == tmp_path.name
    assert [(memory.user, memory.content, memory.valid_from) for memory in data.memories] == [
        ("b", "tea", "2026-01-01T00:00:00Z"),
        ("a", "coffee", None),
    ]
    assert [question.text for question in data.answerable] == ["what?"]
    first = data.first_users(1)
    assert [memory.user for memory in first.memories] == ["b"]
    assert [question.user for question in first.questions] == ["b"]


def test_what_is_made_up_is_always_the_same_and_can_be_answered() -> None:
    data = Data.of(None)
    assert data == invented()
    known = {(memory.user, memory.ref) for memory in data.memories}
    assert len(known) == len(data.memories)
    assert data.answerable == data.questions
    for question in data.questions:
        assert {(question.user, ref) for ref in question.evidence} <= known
        assert "{" not in question.text
    assert not any("{" in memory.content for memory in data.memories)


def test_texts_differ_by_seed_and_not_by_run() -> None:
    data = invented()
    assert list(data.texts("a", 5)) == list(data.texts("a", 5)) != list(data.texts("b", 5))
