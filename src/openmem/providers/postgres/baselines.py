"""The baselines of models, which searches read; see `openmem.ranking.calibration`. Pure."""

from __future__ import annotations

import json

from ...ports.models import Vectors
from ...ports.postgres import Statement
from .sql import Catalog


class Baselines:
    """The statements that look for baselines and store them."""

    def __init__(self, catalog: Catalog) -> None:
        self._find = catalog.query("find_baselines")
        self._store = catalog.query("store_baselines")

    def find(self, model: str) -> Statement[bool]:
        """Whether those of a model are stored."""
        return self._find.bind({"embedding_model": model}, lambda rows: bool(rows[0][0]))

    def store(self, model: str, vectors: Vectors) -> Statement[int]:
        """Store those of a model, unless that was done before."""
        values = {"embedding_model": model, "vectors": [json.dumps(list(vector)) for vector in vectors]}
        return self._store.bind(values, lambda rows: int(rows[0][0]))
