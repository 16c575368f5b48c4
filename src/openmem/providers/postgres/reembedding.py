"""What replaces the vectors of memories that another model embedded, those of all users. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from ...ports.models import Vectors
from ...ports.postgres import Statement
from .sql import Catalog


class StaleEmbedding(NamedTuple):
    """A memory that another model embedded.

    Attributes:
        written_at: when it was last written. If it is written again, its new vector is not stored.
    """

    id: str
    bucket: int
    content: str
    written_at: datetime


class Reembedding:
    """The statements of `reembed`."""

    def __init__(self, catalog: Catalog) -> None:
        self._count = catalog.query("count_stale_embeddings")
        self._stale = catalog.query("stale_embeddings")
        self._store = catalog.query("store_embeddings")

    def count_stale(self, model: str) -> Statement[int]:
        """How many memories another model than `model` embedded."""
        return self._count.bind({"embedding_model": model}, lambda rows: int(rows[0][0]))

    def stale(self, model: str, after_id: str, limit: int) -> Statement[Sequence[StaleEmbedding]]:
        """The next memories behind `after_id` that another model embedded."""
        values = {"embedding_model": model, "after_id": after_id, "limit": limit}
        return self._stale.bind(values, lambda rows: [StaleEmbedding(*row) for row in rows])

    def store(self, model: str, memories: Sequence[StaleEmbedding], vectors: Vectors) -> Statement[int]:
        """Store new vectors, but for memories that were written since they were read."""
        values = {
            "embedding_model": model,
            "ids": [memory.id for memory in memories],
            "buckets": [memory.bucket for memory in memories],
            "written_at": [memory.written_at for memory in memories],
            "embeddings": [json.dumps(list(vector)) for vector in vectors],
        }
        return self._store.bind(values, lambda rows: int(rows[0][0]))
