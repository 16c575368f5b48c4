"""FastEmbed: models as ONNX, without PyTorch, by the package ``fastembed``."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from ..errors import InvalidRequestError
from ._local import LocalEmbedder, bytes_of
from ._parts import LongTexts
from ._prefixes import prefixes_of
from ._settings import check_model_name

DEFAULT_MODEL: Final = "BAAI/bge-small-en-v1.5"
MODEL_TOKENS: Final = 512
"""What most of its models read of a text."""


@cache
def create(model: str | None) -> FastEmbedEmbedder:
    """The embedder for ``"fastembed"`` or ``"fastembed:<model>"``."""
    return FastEmbedEmbedder(DEFAULT_MODEL if model is None else model)


class FastEmbedEmbedder(LocalEmbedder):
    """Vectors from a model of FastEmbed, which is downloaded once from the Hugging Face hub. Thread-safe.

    Args:
        model: FastEmbed's name of the model, also of one that ``fastembed.TextEmbedding.add_custom_model`` was told.
        path: a directory with the model's files; nothing is downloaded then.
        cache_dir: where models are kept; by default what ``FASTEMBED_CACHE_PATH`` names, else a temporary directory.
        threads: of one call; by default as many as there are processors.
        query_prefix: put before every query; by default what the model wants, if that is known from its name.
        document_prefix: put before every document; the same.
        max_input_bytes: bytes of UTF-8 in a text, at most, at which `long_texts` begins.
        long_texts: ``average``, ``truncate`` or ``refuse``; see `LocalEmbedder`.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        path: str | None = None,
        cache_dir: str | None = None,
        threads: int | None = None,
        query_prefix: str | None = None,
        document_prefix: str | None = None,
        max_input_bytes: int | None = bytes_of(MODEL_TOKENS),
        long_texts: LongTexts = "average",
    ) -> None:
        prefixes = prefixes_of(check_model_name("fastembed", model), query_prefix, document_prefix)
        super().__init__("fastembed", model, prefixes=prefixes, max_input_bytes=max_input_bytes, long_texts=long_texts)
        self._options: dict[str, Any] = {"cache_dir": cache_dir, "threads": threads}
        if path is not None:
            self._options["specific_model_path"] = path

    def _load(self) -> Any:
        from fastembed import TextEmbedding  # noqa: PLC0415 - it takes seconds

        known = [known["model"] for known in TextEmbedding.list_supported_models()]
        if self._name.lower() not in map(str.lower, known):
            raise InvalidRequestError(
                f"embedder {self.model!r}: fastembed has no such model; it has {', '.join(known)}"
            )
        return TextEmbedding(self._name, **self._options)

    def _vectors(self, model: Any, texts: list[str], is_query: bool) -> Any:
        # Models that it treats specially have tasks; for all others the two are the same.
        return list(model.query_embed(texts) if is_query else model.passage_embed(texts))

    @property
    def is_symmetric(self) -> bool:
        """Whether the vector of a query is that of a document; one model tells them apart without a prefix."""
        return super().is_symmetric and "jina-embeddings-v3" not in self._name.lower()
