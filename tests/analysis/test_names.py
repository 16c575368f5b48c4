"""Names that are misspelled."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from openmem import Memory
from openmem.analysis.analyzer import Analyzer
from openmem.analysis.names import sounds

NOW = datetime(2026, 11, 28, tzinfo=UTC)
ANALYZER = Analyzer()


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("Muhhamed", "Muhammad"),
        ("Katherine", "Catherine"),
        ("Stephanie", "Stefanie"),
        ("Caroline", "Carolnie"),
        ("Giovanni", "Giovani"),
        ("Yevgeny", "Evgeny"),
        ("Мария", "Марья"),
    ],
)
def test_a_misspelled_name_is_like_the_right_one(right: str, wrong: str) -> None:
    terms = ANALYZER.memory(f"A letter from {right} came.", NOW)
    words = ANALYZER.query(f"What did {wrong} write?", NOW)
    assert any(not terms.lexemes.isdisjoint(word.alternatives) for word in words)


@pytest.mark.parametrize("text", ["Jon and Jan", "ERR-1042", "2023", "NASA", "maya", "tea", "McX", "v2"])
def test_what_is_short_or_no_name_has_no_sound(text: str) -> None:
    assert not sounds(text)


def test_other_words_of_memories_and_queries_have_no_sound() -> None:
    text = "What is on the desk? The lamp. Where is it?"
    assert not {lexeme for lexeme in ANALYZER.memory(text, NOW).lexemes if lexeme.startswith("~")}
    german = "Was steht auf dem Tisch? Nur die alte Lampe und das Buch, sonst ist da nichts."
    assert not {lexeme for lexeme in ANALYZER.memory(german, NOW).lexemes if lexeme.startswith("~")}


@pytest.fixture(params=["memory", "postgres"])
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "memory":
        return {"provider": "memory"}
    return {"url": request.getfixturevalue("url")}


def test_the_right_name_comes_before_one_that_is_like_it(settings: dict[str, Any]) -> None:
    texts = [f"{name} keeps bees" for name in ("Mario", "Maria", "Muhhamed", "Jon", "Jan")]
    texts += ["Invoice ERR-1042 was paid in 2023", "Invoice ERR-1043 was paid in 2024"]
    with Memory(**settings, embedder="hashing") as memory:
        memory.add_many([{"content": text, "user_id": "u-names"} for text in texts])
        for query, best in [
            ("What does Mario keep?", 0),
            ("What does Maria keep?", 1),
            ("What does Muhammad keep?", 2),
            ("What does Jon keep?", 3),
            ("What does Jan keep?", 4),
            ("Was ERR-1042 paid?", 5),
            ("Was ERR-1043 paid?", 6),
            ("Which invoice of 2024?", 6),
        ]:
            first, second = memory.search(query, user_id="u-names", limit=2)
            assert first.memory.content == texts[best], query
            assert first.score > second.score


@pytest.mark.parametrize("names", [("Marco", "Marc"), ("Paula", "Paul"), ("Ivana", "Ivan"), ("Roberto", "Roberta")])
def test_a_name_is_found_before_one_that_another_language_makes_of_it(names: tuple[str, str]) -> None:
    asked, other = (ANALYZER.memory(f"{name} works at the bank", NOW).lexemes for name in names)
    weights = {
        lexemes: sum(word.weight for word in ANALYZER.query(names[0], NOW) if lexemes.intersection(word.alternatives))
        for lexemes in (asked, other)
    }
    assert weights[asked] > weights[other]
