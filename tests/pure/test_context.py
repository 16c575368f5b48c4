"""From ranked memories to cited text."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from openmem.context import build_context, estimate_tokens, resolve_token_counter
from openmem.errors import InvalidRequestError
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
    ("text", "at_least"),
    [("", 0), ("hello world", 2), ("1234567890", 10), ("a-b-c", 5), ("日本語", 3), ("🙂", 1), ("a\n\n\nb", 2)],
)
def test_the_estimate_errs_on_the_high_side(text: str, at_least: int) -> None:
    assert estimate_tokens(text) >= at_least


def test_choosing_a_counter() -> None:
    assert resolve_token_counter(None) is estimate_tokens
    assert resolve_token_counter(words) is words
    with pytest.raises(InvalidRequestError, match="token_counter"):
        resolve_token_counter("cl100k")
