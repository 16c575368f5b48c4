"""The vectors that a backend keeps, for exports. This is no verb of the protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from .fields import Name
from .operation import Operation


class StoredVector(NamedTuple):
    """What an embedder made of a memory's content.

    Attributes:
        model: name of the embedder's model.
    """

    model: str
    values: Sequence[float]


class StoredVectors(Operation[Mapping[str, StoredVector]]):
    """The vectors of some of a user's memories, by id; none of those that no search finds."""

    verb: ClassVar[str] = "stored_vectors"
    is_wire_verb: ClassVar[bool] = False

    user_id: Name
    ids: tuple[Name, ...]
