"""From ranked memories to a block of cited text within a token budget."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeAlias

from .errors import InvalidRequestError
from .models import Citation, ContextBlock, SearchResult

TokenCounter: TypeAlias = Callable[[str], int]

_WORDS = re.compile(r"[A-Za-z]+")
_WORDS_AND_SPACES = re.compile(r"[A-Za-z\s]+")
_LONG_SPACES = re.compile(r"\s{3,}")


def estimate_tokens(text: str) -> int:
    """A count of tokens that errs on the high side, made without any tokenizer.

    Words of ASCII letters count a token for every three letters begun, digits and punctuation one
    each, any other character one per UTF-8 byte, and white space nothing but a token per line end.
    """
    words = sum((len(word) + 2) // 3 for word in _WORDS.findall(text))
    others = len(_WORDS_AND_SPACES.sub("", text).encode())
    spaces = text.count("\n") + sum((len(run) - 1) // 2 for run in _LONG_SPACES.findall(text))
    return words + others + spaces


def resolve_token_counter(counter: TokenCounter | str | None) -> TokenCounter:
    """The counter behind the `token_counter` argument; by default `estimate_tokens`."""
    if counter is None:
        return estimate_tokens
    if callable(counter):
        return counter
    raise InvalidRequestError(f"token_counter: {counter!r} is not a function from text to its number of tokens")


def build_context(results: Iterable[SearchResult], token_budget: int, count: TokenCounter) -> ContextBlock:
    """The best of `results`, one a line with its citation, in at most `token_budget` tokens.

    A memory that does not fit is passed over for the shorter ones behind it; of memories with the
    same text only the best is quoted.

    Args:
        results: ranked, best first.
        token_budget: most tokens of the whole text, counted by `count`.
    """
    lines: list[str] = []
    citations: list[Citation] = []
    seen: set[str] = set()
    used, separator = 0, count("\n")
    for result in results:
        content = " ".join(result.memory.content.split())
        if content.casefold() in seen:
            continue
        line = f"- {content} [{result.memory.id}]"
        cost = count(line) + (separator if lines else 0)
        if used + cost > token_budget:
            continue
        seen.add(content.casefold())
        lines.append(line)
        citations.append(Citation(memory_id=result.memory.id, score=result.score))
        used += cost
    # A counter may find more tokens in the whole than in its parts.
    while lines and count("\n".join(lines)) > token_budget:
        lines.pop()
        citations.pop()
    text = "\n".join(lines)
    return ContextBlock(text=text, citations=citations, token_count=count(text) if lines else 0)
