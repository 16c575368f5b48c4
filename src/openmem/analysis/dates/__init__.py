"""Dates: those that texts name, in the spellings and languages most written, and as lexemes.

`tokens` cuts a text into words and numbers where it may name dates. `grammar` finds them there, by the words of
`vocabulary` and those of `unspaced`. `periods` says which days, months or years they mean. `lexemes` makes the words of
memories and queries of them.
"""

from __future__ import annotations

from .grammar import Mention, mentions, mentions_of_query, without
from .lexemes import lexemes_of, query_words

__all__ = ["Mention", "lexemes_of", "mentions", "mentions_of_query", "query_words", "without"]
