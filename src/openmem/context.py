"""From ranked memories to a block of cited text within a token budget."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeAlias

from .errors import InvalidRequestError
from .models import Citation, ContextBlock, SearchResult

TokenCounter: TypeAlias = Callable[[str], int]

_PIECES = re.compile(r"[A-Za-z]+|[^A-Za-z\s]|\s+")


def estimate_tokens(text: str) -> int:
    """A count of tokens that errs on the high side, made without any tokenizer.

    Words of ASCII letters count a token for every three letters begun, digits and punctuation one
    each, any other character one per UTF-8 byte, and white space nothing but a token per line end.
    """
    total = 0
    for match in _PIECES.finditer(text):
        piece = match.group()
        if piece.isspace():
            total += piece.count("\n") + (len(piece) - 1) // 2
        elif piece.isascii():
            total += -(-len(piece) // 3)
        else:
            total += len(piece.encode())
    return total


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
    used = 0
    for result in results:
        content = " ".join(result.memory.content.split())
        if content.casefold() in seen:
            continue
        line = f"- {content} [{result.memory.id}]"
        text = "\n".join([*lines, line])
        total = count(text)
        if total > token_budget:
            continue
        seen.add(content.casefold())
        lines.append(line)
        citations.append(Citation(memory_id=result.memory.id, score=result.score))
        used = total
    return ContextBlock(text="\n".join(lines), citations=citations, token_count=used)
