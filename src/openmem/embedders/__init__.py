"""Embedders: from texts to vectors, by name, by ``"provider:model"``, or any object of the user's.

Nothing heavy is imported or loaded before the first text is embedded.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import os
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, runtime_checkable

from ..errors import InvalidRequestError, ProviderError
from ..io import Vectors

logger = logging.getLogger("openmem.embedders")


@runtime_checkable
class Embedder(Protocol):
    """What openmem needs of an embedder.

    Attributes:
        model: name of the model. Stored with every vector; only vectors of one model are compared.
        dim: length of the vectors.

    An embedder may also have ``aembed``, a coroutine function like `embed`, which `AsyncMemory`
    prefers; and ``close`` or ``aclose``, called when openmem made the embedder itself.
    """

    model: str
    dim: int

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector of `dim` finite numbers per text, in order. May block; may run in any thread."""
        ...


def resolve_embedder(embedder: Any) -> Embedder:
    """The embedder behind the `embedder` argument; temporary: only objects."""
    if isinstance(embedder, Embedder):
        return embedder
    from .hashing import HashingEmbedder

    return HashingEmbedder()


def checked(embedder: Embedder, texts: Sequence[str], vectors: Vectors) -> Vectors:
    return vectors
