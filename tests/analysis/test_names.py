"""Names that are misspelled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from openmem import Memory
from openmem.analysis.analyzer import Analyzer
from openmem.analysis.names import names

NOW = datetime(2026, 11, 28, tzinfo=UTC)
ANALYZER = Analyzer()


class Nothing:
    """Vectors of zeros, which are like nothing, so that only words are compared."""

    model, dim = "nothing", 4

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[0.0] * self.dim for _ in texts]


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
        ("Ольга", "Olga"),
        ("Yuri", "Юрий"),
        ("Александр", "Alexander"),
        ("Γιώργος", "Giorgos"),
        ("Χρήστος", "Christos"),
    ],
)
def test_a_misspelled_name_is_like_the_right_one(right: str, wrong: str) -> None:
    terms = ANALYZER.memory(f"A letter from {right} came.", NOW)
    words = ANALYZER.query(f"What did {wrong} write?", NOW)
    assert any(not terms.lexemes.isdisjoint(word.alternatives) for word in words)


@pytest.mark.parametrize("text", ["Jon and Jan", "ERR-1042", "2023", "NASA", "maya", "tea", "McX", "v2", "Didn't"])
def test_what_is_short_or_no_name_has_no_sound(text: str) -> None:
    assert not any(name.sound for name in names(text))


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


@pytest.mark.parametrize("names", [("Martin", "Martine"), ("Mary", "Marie"), ("Carol", "Carole"), ("Jule", "Jules")])
def test_of_names_with_one_stem_the_one_that_is_asked_for_comes_first(
    settings: dict[str, Any], names: tuple[str, str]
) -> None:
    user = f"u-{names[0]}"
    for order in (names, names[::-1]):
        with Memory(**settings, embedder=Nothing()) as memory:
            for name in order:
                memory.add(content=f"{name} works at the bank", user_id=user)
            for name in names:
                best, other = memory.search(f"Where does {name} work?", user_id=user, limit=2)
                assert best.memory.content.startswith(f"{name} ")
                assert best.score > other.score
            for hit in memory.list(user_id=user).items:
                memory.delete(hit.id)


def test_a_name_is_found_by_its_initials(settings: dict[str, Any]) -> None:
    texts = ["Robert Smith bought a boat", "John Smith bought a car", "J. Miller bought a house", "The tests are in JS"]
    with Memory(**settings, embedder=Nothing()) as memory:
        memory.add_many([{"content": text, "user_id": "u-initials"} for text in texts])
        for query, best in [
            ("What did J. Smith buy?", 1),
            ("What did J Smith buy?", 1),
            ("What did John Smith buy?", 1),
            ("What did R. Smith buy?", 0),
            ("R.S.", 0),
            ("What did John Miller buy?", 2),
            ("Are the tests in JS?", 3),
        ]:
            first, *others = memory.search(query, user_id="u-initials")
            assert first.memory.content == texts[best], query
            assert all(first.score > other.score for other in others), query
        assert texts[1] in [hit.memory.content for hit in memory.search("JS", user_id="u-initials")]


def test_words_that_are_no_names_have_no_initials() -> None:
    for text in ("the red car", "NASA and ESA", "New. York", "I Think so", "What John said"):
        lexemes = ANALYZER.memory(text, NOW).lexemes
        assert not [lexeme for lexeme in lexemes if lexeme.startswith("~") and "." in lexeme], text
