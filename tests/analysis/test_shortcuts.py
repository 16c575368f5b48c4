"""Shortcuts for what most texts are find what the long way finds."""

from __future__ import annotations

import tracemalloc
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from openmem.analysis import dates
from openmem.analysis.dates.vocabulary import WORDS
from openmem.analysis.languages import languages_of
from openmem.analysis.memo import LONGEST, Memo
from openmem.analysis.names import names
from openmem.analysis.speech import is_question
from openmem.analysis.stop_words import languages_by_word
from openmem.analysis.tokens import tokens
from openmem.analysis.words import memory_lexemes

TODAY = date(2026, 11, 28)
NUMBERS = ["1", "3rd", "31", "2023", "9/5", "9.5.", "2023-09-09", "20230909", "q1", "'23"]
OF_DATES = st.sampled_from([*sorted(WORDS), *NUMBERS])
OTHERS = ["melon", "Straße", "лодка", "yil", "東京"]
SPACES = st.sampled_from([" ", " ", " ", ", ", ". ", "-", "\n", "  ", "'", "/"])
SPEAKING = [*sorted(languages_by_word()), "running", "Straße", "ação", "people", "maya"]


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Words of dates among others."""
    words = draw(st.lists(st.one_of(OF_DATES, OF_DATES.map(str.title), st.sampled_from(OTHERS)), max_size=12))
    return "".join(word + draw(SPACES) for word in words)


@given(texts())
def test_words_of_no_date_do_not_change_which_dates_are_found(text: str) -> None:
    """A word that ends with an underscore does not end the part of a text in which dates are looked for."""
    longer = text
    for word in OTHERS:
        longer = longer.replace(word, f"{word[:-1]}_")
    assert dates.mentions(text, TODAY) == dates.mentions(longer, TODAY)


@given(st.lists(st.sampled_from(SPEAKING), max_size=12))
def test_a_text_that_is_surely_english_is_so_by_all_its_words(words: list[str]) -> None:
    found = tokens(" ".join(words))
    if sum(token.lead for token in found) > 0:
        assert languages_of([one for token in found for one in token.evidence]) == (("en",), True)


@given(st.text("Aab Zz.,-_'9?", max_size=40))
def test_names_of_a_text_in_ascii_are_those_of_any_other(text: str) -> None:
    assert names(text) == names(f"{text} é")


@given(st.text("ab ?.\"'])\n\t\x1c;", max_size=12))
def test_a_question_in_ascii_ends_as_any_other(text: str) -> None:
    assert is_question(text) == is_question(f"é{text}")


def test_long_words_are_not_kept_in_memory() -> None:
    memory_lexemes("Qqqqqq", "de")
    tracemalloc.start()
    try:
        for number in range(40):
            memory_lexemes("Q" + "q" * 50_000 + "w" * number, "de")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000


def test_a_memo_keeps_some_values_of_short_texts() -> None:
    calls: list[str] = []

    def measured(text: str) -> int:
        calls.append(text)
        return len(text)

    memo = Memo(measured, 2)
    assert [memo[text] for text in ("a", "b", "a", "c", "a", "x" * LONGEST, "y" * 99, "y" * 99)] == [
        1, 1, 1, 1, 1, LONGEST, 99, 99,
    ]  # fmt: skip
    assert calls == ["a", "b", "c", "a", "x" * LONGEST, "y" * 99, "y" * 99]
    assert len(memo) <= 2
