"""Model2Vec: static word vectors made from larger models, by the package ``model2vec``."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from ._local import LocalEmbedder
from ._settings import split_dim

DEFAULT_MODEL: Final = "minishlab/potion-multilingual-128M"


@cache
def create(model: str | None) -> Model2VecEmbedder:
    """The embedder for ``"model2vec"``, ``"model2vec:<model>"`` or ``"model2vec:<model>:<dim>"``."""
    name, dim = split_dim(DEFAULT_MODEL if model is None else model)
    return Model2VecEmbedder(name, dim=dim)


class Model2VecEmbedder(LocalEmbedder):
    """Vectors from a static model, from a directory or downloaded once from the Hugging Face hub. Thread-safe.

    Texts of any length are read to their end.

    Args:
        model: the hub's name of the model, or a directory.
        dim: length of the vectors, if they are to be shorter than the model's own.
    """

    # To encode is to set the tokenizer.
    takes_threads = False

    def __init__(self, model: str = DEFAULT_MODEL, *, dim: int | None = None) -> None:
        super().__init__("model2vec", model, dim=dim)

    def _load(self) -> Any:
        from model2vec import StaticModel  # noqa: PLC0415 - it takes long

        return StaticModel.from_pretrained(self._name, dimensionality=self._wanted_dim, force_download=False)

    def _vectors(self, model: Any, texts: list[str], is_query: bool) -> Any:
        return model.encode(texts, normalize=True, max_length=None, use_multiprocessing=False)
