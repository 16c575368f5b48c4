"""Embedders and rerankers for `Memory`: called directly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from .._model_calls import CheckedEmbedder, CheckedReranker
from ..ports.models import Vectors

M = TypeVar("M", bound=CheckedEmbedder | CheckedReranker)


class _BlockingModel(Generic[M]):
    """What both have in common.

    Args:
        owned: whether the model is closed with this.
    """

    def __init__(self, model: M, *, owned: bool) -> None:
        self._model = model
        self._owned = owned

    async def load(self) -> None:
        """Left to the first text: here it holds up nobody else, and verbs without texts need no model."""

    async def close(self) -> None:
        if self._owned and self._model.close is not None:
            self._model.close()


class BlockingEmbedder(_BlockingModel[CheckedEmbedder]):
    """The `EmbedderIO` port of `Memory`."""

    def __init__(self, model: CheckedEmbedder, *, owned: bool) -> None:
        super().__init__(model, owned=owned)
        self.model = model.model.model

    async def embed(self, texts: Sequence[str], *, has_turn: bool = False) -> Vectors:
        return self._model.embed(texts)

    async def embed_query(self, text: str, *, has_turn: bool = False) -> Sequence[float]:
        [vector] = self._model.embed_queries([text])
        return vector

    def is_quick(self, text: str) -> bool:
        return True


class BlockingReranker(_BlockingModel[CheckedReranker]):
    """The `RerankerIO` port of `Memory`."""

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        return self._model.rerank(query, texts)
