"""Words of texts and of queries: what the ranking compares, without a database.

`terms` has the values, `analyzer` makes them, and the other files are what it needs: tokens and stems (`words`), dates
(`dates`).
"""

from __future__ import annotations

from typing import Final

from .terms import MAX_SPEAKERS, MemoryTerms, QueryWord

VERSION: Final = 1
"""Of the words that an analysis finds in a memory. Whoever changes them adds one, and `Memory.reindex` follows."""

__all__ = ["MAX_SPEAKERS", "VERSION", "MemoryTerms", "QueryWord"]
