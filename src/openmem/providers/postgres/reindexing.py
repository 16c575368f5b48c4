"""What replaces the words of memories that another version of the analysis read, those of all users. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from ...analysis import VERSION, MemoryTerms
from ...ports.postgres import Row, Statement
from .lexemes import term_ids, terms_literal
from .rows import moment_of
from .sql import Catalog


class StaleTerms(NamedTuple):
    """A memory that another version of the analysis read.

    Attributes:
        moment: when it is from.
        written_at: when it was last written. If it is written again, its new words are not stored.
    """

    id: str
    bucket: int
    content: str
    moment: datetime
    written_at: datetime


class Reindexing:
    """The statements of `reindex`."""

    def __init__(self, catalog: Catalog) -> None:
        self._count = catalog.query("count_stale_terms")
        self._stale = catalog.query("stale_terms")
        self._store = catalog.query("store_terms")

    def count_stale(self, everything: bool) -> Statement[int]:
        """How many memories are to be analysed."""
        values = {"analysis": VERSION, "everything": everything}
        return self._count.bind(values, lambda rows: int(rows[0][0]))

    def stale(self, everything: bool, after_id: str, limit: int) -> Statement[Sequence[StaleTerms]]:
        """The next memories behind `after_id` that are to be analysed."""

        def decode(rows: Sequence[Row]) -> Sequence[StaleTerms]:
            return [
                StaleTerms(id, bucket, content, moment_of(moment, utc_offset), written_at)
                for id, bucket, content, moment, utc_offset, written_at in rows
            ]

        values = {"analysis": VERSION, "everything": everything, "after_id": after_id, "limit": limit}
        return self._stale.bind(values, decode)

    def store(self, memories: Sequence[StaleTerms], found: Sequence[MemoryTerms]) -> Statement[int]:
        """Store new words, but for memories that were written since they were read."""
        values = {
            "analysis": VERSION,
            "ids": [memory.id for memory in memories],
            "buckets": [memory.bucket for memory in memories],
            "written_at": [memory.written_at for memory in memories],
            "terms": [terms_literal(term_ids(terms)) for terms in found],
        }
        return self._store.bind(values, lambda rows: int(rows[0][0]))
