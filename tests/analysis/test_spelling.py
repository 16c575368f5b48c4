"""How a query spells the words that it is compared by."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from openmem.analysis import QueryWord, SpelledWord
from openmem.analysis.analyzer import Analyzer
from openmem.analysis.spelling import spelled

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def spellings(text: str, language: str | None = None) -> set[tuple[str, str]]:
    analyzer = Analyzer(language)
    found = spelled(analyzer, text, analyzer.query(text, NOW), NOW)
    assert all(isinstance(word, SpelledWord) for word in found)
    return set(found)


@pytest.mark.parametrize(
    ("text", "words", "dates"),
    [
        ("What is Maya allergic to?", {"Maya", "allergic"}, set()),
        ("Wogegen ist Anna allergisch?", {"Wogegen", "Anna", "allergisch"}, set()),
        ("Где живёт Фёдор?", {"живёт", "Фёдор"}, set()),
        ("meetings last week in Porto", {"meetings", "Porto"}, {"last week"}),
        ("I am tired. What did we plan for 9 September 2023?", {"tired", "plan"}, {"9 September 2023"}),
        ("who fixed ERR-1042 in getUserName", {"fixed", "ERR-1042", "getUserName"}, set()),
    ],
)
def test_words_are_as_the_query_has_them(text: str, words: set[str], dates: set[str]) -> None:
    found = spellings(text)
    assert {word for word, kind in found if kind == "date"} == dates
    assert words <= {word for word, kind in found if kind == "word"}
    assert all(word in text for word, _ in found)


def test_pairs_of_characters_are_of_one_text() -> None:
    assert all(word in "玛雅对花生过敏吗" for word, _ in spellings("玛雅对花生过敏吗"))


def test_a_word_that_no_part_of_the_text_has_is_named_by_its_first_alternative() -> None:
    words = [QueryWord(("tea", "teas"))]
    assert spelled(Analyzer(), "?", words, NOW) == (SpelledWord("tea", "word"),)


def test_a_query_of_thousands_of_words_is_spelled() -> None:
    text = " ".join(f"word{number}x" for number in range(2_000))
    assert len(spellings(text)) >= 2_000
