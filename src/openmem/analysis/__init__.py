"""Words of texts and of queries: what the ranking compares, without a database.

`terms` has the values, `analyzer` makes them, and the other files are what it needs: tokens and stems (`words`), dates
(`dates`).
"""

from __future__ import annotations

from .terms import MemoryTerms, QueryWord

__all__ = ["MemoryTerms", "QueryWord"]
