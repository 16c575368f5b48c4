"""Function words: what a query leaves out, and what only looks like one."""

from __future__ import annotations

import pytest

from openmem.analysis.words import memory_lexemes, query_words


@pytest.mark.parametrize(
    ("memory", "word"),
    [
        ("Me gusta el té verde y no me gusta la leche", "té"),
        ("Il tè verde è nella tazza della nonna", "tè"),
        ("Det här året var det bästa av alla år för oss", "år"),
        ("Con chó của tôi và con mèo của chị", "chó"),
        ("Bugün bir bardak su içtim ama çay yok", "su"),
        ("Ten dentysta leczy moje zęby i jest bardzo miły", "zęby"),
    ],
)
def test_a_word_that_differs_by_its_accents_is_no_function_word(memory: str, word: str) -> None:
    lexemes = memory_lexemes(memory)
    assert any(lexemes.intersection(one.alternatives) for one in query_words(word))


@pytest.mark.parametrize(
    "query",
    ["Don't they?", "Who\u2019re you?", "I'm what I've been", "Won't she?", "Couldn't he?", "can\u2019t"],
)
def test_contractions_are_function_words(query: str) -> None:
    assert sum(word.weight for word in query_words(query)) <= 0.5
    assert memory_lexemes(f"{query} Yes, Porto") == memory_lexemes("Yes, Porto")


def test_a_possessive_is_not_a_contraction() -> None:
    assert "maya" in memory_lexemes("Maya's bike")
    assert "tom" in memory_lexemes("Tom'll come")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("went", "go"),
        ("Kneeling women", "woman"),
        ("organisations", "organization"),
        ("theatres", "theater"),
        ("analysed", "analyses"),
    ],
)
def test_irregular_forms_are_the_word(one: str, other: str) -> None:
    lexemes = memory_lexemes(one, "en")
    assert sum(word.weight for word in query_words(other, "en") if lexemes.intersection(word.alternatives)) >= 0.7


@pytest.mark.parametrize(("one", "other"), [("founded", "find"), ("promised", "prom"), ("exercised", "exert")])
def test_other_words_are_not(one: str, other: str) -> None:
    assert memory_lexemes(one, "en").isdisjoint(memory_lexemes(other, "en"))


def test_an_irregular_form_finds_what_an_older_analysis_stored() -> None:
    assert "bought" in {lexeme for word in query_words("What was bought?") for lexeme in word.alternatives}
