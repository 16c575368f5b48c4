"""From ranked memories to cited text."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from openmem.context import build_context
from openmem.models import MemoryRecord, SearchResult


def hits(*contents: str) -> list[SearchResult]:
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    return [
        SearchResult(
            memory=MemoryRecord(id=f"mem_{number}", content=content, user_id="u", created_at=moment),
            score=1 / (number + 1),
        )
        for number, content in enumerate(contents)
    ]


def words(text: str) -> int:
    return len(text.split())


def test_one_cited_line_each() -> None:
    block = build_context(hits("likes tea", "plays the cello"), 100, words)
    assert block.text == "- likes tea [mem_0]\n- plays the cello [mem_1]"
    assert [(citation.memory_id, citation.score) for citation in block.citations] == [("mem_0", 1.0), ("mem_1", 0.5)]
    assert block.token_count == words(block.text) == 9


def test_what_does_not_fit_is_passed_over() -> None:
    block = build_context(hits("a b", "a very long memory of many words", "c"), 7, words)
    assert block.text == "- a b [mem_0]\n- c [mem_2]"
    assert block.token_count == 7


@pytest.mark.parametrize("token_budget", range(1, 12))
def test_the_budget_holds(token_budget: int) -> None:
    block = build_context(hits("a", "b c", "d e f"), token_budget, words)
    assert block.token_count == words(block.text) <= token_budget


def test_white_space_is_folded_into_one_line() -> None:
    assert build_context(hits(" a\n\tb \u2028 c "), 100, words).text == "- a b c [mem_0]"


def test_the_same_text_is_quoted_once() -> None:
    block = build_context(hits("Likes  tea", "likes tea", "likes milk"), 100, words)
    assert [citation.memory_id for citation in block.citations] == ["mem_0", "mem_2"]


def test_nothing() -> None:
    block = build_context([], 100, words)
    assert (block.text, block.citations, block.token_count) == ("", [], 0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The user prefers dark mode.", "user prefers the dark mode"),
        ("Maya\u2019s dog is Rex", "Maya's dog: Rex!"),
        ('likes "tea"', "Likes tea"),
        ("喜欢绿茶", "喜欢绿茶"),
    ],
)
def test_of_those_that_say_the_same_the_best_is_quoted(one: str, other: str) -> None:
    for contents in ((one, other), (other, one)):
        block = build_context(hits(*contents), 100, words)
        assert [citation.memory_id for citation in block.citations] == ["mem_0"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("the budget is 500", "the budget is 600"),
        ("it was -5 degrees", "it was 5 degrees"),
        ("knows C++", "knows C#"),
        ("likes tea", "likes tea?"),
        ("likes tea", "does not like tea"),
        ("likes tea", "likes tea and milk"),
        ("allergic to nuts", "her sister is allergic to nuts"),
        ("Anna is older than Bob", "Bob is older than Anna"),
        ("flies to Rome", "flies from Rome"),
        ("कल", "काल"),
        ("the", "a"),
    ],
)
def test_those_that_differ_are_both_quoted(one: str, other: str) -> None:
    block = build_context(hits(one, other), 100, words)
    assert len(block.citations) == 2


def test_a_line_costs_what_it_costs_where_it_stands() -> None:
    def joins_brackets(text: str) -> int:
        """Like most tokenizers, with the bracket and the line break after it as one token."""
        return len(text.replace("]\n", "]").replace("[", "").split("]")) - 1 + words(text)

    each = joins_brackets("- a [mem_0]")
    assert len(build_context(hits("a", "b", "c"), 3 * each, joins_brackets).citations) == 3
    assert len(build_context(hits("a", "b", "c"), 3 * each - 1, joins_brackets).citations) == 2


def test_a_counter_that_finds_more_in_the_whole() -> None:
    block = build_context(hits("a", "b", "c", "d"), 60, lambda text: len(text.splitlines()) ** 2 * 10)
    assert block.token_count <= 60
    assert [citation.memory_id for citation in block.citations] == ["mem_0", "mem_1"]


def test_nothing_is_counted_once_no_memory_can_fit() -> None:
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        return words(text)

    build_context(hits(*(f"memory number {number}" for number in range(100))), 11, count)
    assert len(counted) < 20
