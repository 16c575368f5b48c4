"""What of a query is compared with memories."""

from __future__ import annotations

from collections.abc import Iterable

from ..analysis import QueryWord
from .constants import MAX_ALTERNATIVES, MAX_QUERY_CHARACTERS


def compared_text(query: str) -> str:
    """The part of a query whose words are compared: of a very long one its beginning and its end."""
    if len(query) <= MAX_QUERY_CHARACTERS:
        return query
    half = MAX_QUERY_CHARACTERS // 2
    return f"{query[:half]} {query[-half:]}"


def compared_words(words: Iterable[QueryWord]) -> tuple[QueryWord, ...]:
    """The words that can be compared, with up to `MAX_ALTERNATIVES` of each."""
    return tuple(
        word
        if len(word.alternatives) <= MAX_ALTERNATIVES
        else QueryWord(word.alternatives[:MAX_ALTERNATIVES], word.weight)
        for word in words
        if word.alternatives and word.weight > 0
    )
