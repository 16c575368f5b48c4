"""What reads some of a user's memories, for pictures of all of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ...operations import List
from ...ports.postgres import Row, Statement
from ..base import Call
from ..sample import Sample
from .rows import to_record
from .selection import selection_values
from .sql import Catalog
from .sql.parts import scope_values

STRATUM_ROWS: Final = 4
"""How many memories that follow each other are read together."""


class Sampling:
    """The statement of a sample."""

    def __init__(self, catalog: Catalog) -> None:
        self._sample = catalog.query("sample")

    def sample(self, op: List, call: Call, model: str, size: int) -> Statement[Sample]:
        """Some of the memories of a list, with the vectors of a model."""

        def decode(rows: Sequence[Row]) -> Sample:
            records = [to_record(row[2:]) for row in rows]
            vectors = {record.id: row[1] for record, row in zip(records, rows, strict=True) if row[1] is not None}
            return Sample(records, vectors, is_whole=all(row[0] for row in rows), is_spread=True)

        values = {
            **selection_values(op.selection(call.grants)),
            "scope": op.scope_text,
            "model": model,
            "strata": max(1, size // STRATUM_ROWS),
            "stratum_rows": STRATUM_ROWS,
            "app": call.app,
            "request_id": call.request_id,
            **scope_values("readable", call.grants.read),
        }
        return self._sample.bind(values, decode)
