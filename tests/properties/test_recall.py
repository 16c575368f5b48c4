"""Whether facts are found by questions in other words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from openmem import Memory

FACTS = Path(__file__).parents[2] / "benchmarks" / "data" / "facts"


def read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FACTS / name).read_text(encoding="utf-8").splitlines()]


def test_most_facts_are_among_the_first_ten_for_a_question_without_their_words(database: str) -> None:
    facts, questions = read("memories.jsonl"), read("questions.jsonl")
    with Memory(url=database, embedder="wordllama") as memory:
        ids = {fact["ref"]: memory.add(content=fact["content"], user_id=fact["user_id"]).id for fact in facts}
        found = 0
        for question in questions:
            results = memory.search(question["question"], user_id=question["user_id"], limit=10)
            evidence = {ids[ref] for ref in question["evidence"]}
            found += evidence <= {result.memory.id for result in results}
    assert len(questions) == 64
    assert found >= 54
