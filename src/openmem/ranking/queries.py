"""What of a query is compared with memories."""

from __future__ import annotations

from .constants import MAX_QUERY_CHARACTERS


def compared_text(query: str) -> str:
    """The part of a query whose words are compared: of a very long one its beginning and its end."""
    if len(query) <= MAX_QUERY_CHARACTERS:
        return query
    half = MAX_QUERY_CHARACTERS // 2
    return f"{query[:half]} {query[-half:]}"
