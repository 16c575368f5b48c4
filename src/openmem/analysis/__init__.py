"""Words of texts and of queries: what the ranking compares, without a database.

`terms` has the values, `analyzer` makes them, and the other files are what it needs: tokens and stems (`words`), dates
(`dates`).
"""

from __future__ import annotations

from typing import Final

from .terms import MAX_SPEAKERS, MemoryTerms, QueryWord

LANGUAGES: Final = ("en",)
"""The codes of the languages that texts may be said to be in."""

VERSION: Final = 1
"""Of the words that an analysis finds in a memory. Whoever changes them adds one, and `Memory.reindex` follows."""

__all__ = ["LANGUAGES", "MAX_SPEAKERS", "VERSION", "MemoryTerms", "QueryWord"]
