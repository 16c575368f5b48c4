"""Embedders and rerankers as the logic sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

Vectors: TypeAlias = Sequence[Sequence[float]]


class EmbedderIO(Protocol):
    """An embedder that does not block its caller's loop."""

    model: str
    dim: int

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector of ``dim`` numbers per text, checked."""
        ...

    async def load(self) -> None:
        """Load the model now if waiting for the first text would hold up others."""
        ...

    async def close(self) -> None:
        """Release what the embedder holds, unless it is the user's own object. Idempotent."""
        ...


class RerankerIO(Protocol):
    """A reranker that does not block its caller's loop."""

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """One score from 0 to 1 per text, checked."""
        ...

    async def load(self) -> None:
        """Load the model now if waiting for the first query would hold up others."""
        ...

    async def close(self) -> None:
        """Release what the reranker holds, unless it is the user's own object. Idempotent."""
        ...
