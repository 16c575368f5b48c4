"""Some of a user's memories, for pictures of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..models import MemoryRecords


@dataclass(frozen=True, slots=True, repr=False)
class Sample:
    """Memories of one user, spread over all that a list has.

    Attributes:
        records: the memories, in the order in which they were added.
        vectors: by the ids of memories, what the client's embedder made of them; empty if the backend does not tell.
        is_whole: whether these are all memories of the list.
        is_spread: whether they are from all of the list; else they are its first ones.
    """

    records: MemoryRecords
    vectors: Mapping[str, Sequence[float]]
    is_whole: bool
    is_spread: bool
