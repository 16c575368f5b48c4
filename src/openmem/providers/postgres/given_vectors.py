"""Vectors that come with memories to be restored. Those of the same embedder need not be made again. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from ...operations import Restore
from ...operations.vectors import StoredVector

Usable: TypeAlias = Mapping[str, Sequence[float]]

SAME_FROM: Final = 0.99
"""Two vectors of one text are of the same embedder if their cosine is at least so much."""
LONGEST: Final = 65504.0
"""The largest number of a stored vector."""


def candidates(op: Restore, model: str) -> dict[str, StoredVector]:
    """The vectors that may be of the embedder with this model, by the ids of their memories."""
    indexed = {record.id for record in op.records if record.indexed}
    return {id: vector for id, vector in (op.vectors or {}).items() if vector.model == model and id in indexed}


def usable(found: Mapping[str, StoredVector], id: str, own: Sequence[float]) -> Usable:
    """Those of them that can be stored, if the embedder makes of one text what was given.

    Args:
        id: the memory of this text.
        own: what the embedder makes of it.
    """
    if not _is_same(found[id].values, own):
        return {}
    return {id: vector.values for id, vector in found.items() if _is_storable(vector.values, len(own))}


def _is_storable(values: Sequence[float], length: int) -> bool:
    return len(values) == length and any(values) and all(-LONGEST <= value <= LONGEST for value in values)


def _is_same(given: Sequence[float], own: Sequence[float]) -> bool:
    if not _is_storable(given, len(own)):
        return False
    norms = math.hypot(*given) * math.hypot(*own)
    return norms > 0 and sum(map(float.__mul__, map(float, given), map(float, own))) >= SAME_FROM * norms
