"""Sentence Transformers: models in PyTorch, by the package ``sentence-transformers``."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from ._local import LocalEmbedder, bytes_of
from ._parts import LongTexts
from ._prefixes import Prefixes, prefixes_of
from ._settings import check_model_name, split_dim

DEFAULT_MODEL: Final = "intfloat/multilingual-e5-small"


@cache
def create(model: str | None) -> SentenceTransformersEmbedder:
    """The embedder for ``"sentence-transformers"``, followed by ``":<model>"`` or ``":<model>:<dim>"``."""
    name, dim = split_dim(DEFAULT_MODEL if model is None else model)
    return SentenceTransformersEmbedder(name, dim=dim)


class SentenceTransformersEmbedder(LocalEmbedder):
    """Vectors from a model in PyTorch, from a directory or downloaded once from the Hugging Face hub. Thread-safe.

    A model that comes with prompts for queries and documents is used with them. Otherwise it gets the
    prefixes that its name is known to need.

    Args:
        model: the hub's name of the model, or a directory.
        dim: length of the vectors, if they are to be shorter than the model's own.
        device: as PyTorch names it; by default the best there is.
        trust_remote_code: whether code that comes with a model may run, which some models need.
        query_prefix: put before every query, in place of the model's own prompt.
        document_prefix: put before every document, in place of the model's own prompt.
        max_input_bytes: bytes of UTF-8 in a text, at most, at which `long_texts` begins; by default what the model
            reads.
        long_texts: ``average``, ``truncate`` or ``refuse``; see `LocalEmbedder`.
    """

    is_symmetric = False
    # Tokenizers refuse two threads that set them, and PyTorch uses all processors by itself.
    takes_threads = False

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        dim: int | None = None,
        device: str | None = None,
        trust_remote_code: bool = False,
        query_prefix: str | None = None,
        document_prefix: str | None = None,
        max_input_bytes: int | None = None,
        long_texts: LongTexts = "average",
    ) -> None:
        self._known = prefixes_of(check_model_name("sentence-transformers", model), query_prefix, document_prefix)
        self._ignores_prompts = query_prefix is not None or document_prefix is not None
        super().__init__(
            "sentence-transformers", model, dim=dim, max_input_bytes=max_input_bytes, long_texts=long_texts
        )
        self._options = {"device": device, "trust_remote_code": trust_remote_code, "truncate_dim": dim}

    def _load(self) -> Any:
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - it takes seconds

        return SentenceTransformer(self._name, **self._options)

    def _longest(self, model: Any) -> int | None:
        return bytes_of(model.max_seq_length)

    def _vectors(self, model: Any, texts: list[str], is_query: bool) -> Any:
        encode = model.encode_query if is_query else model.encode_document
        prompt = self._prompt(model, is_query)
        return encode(texts, **prompt, show_progress_bar=False, normalize_embeddings=True)

    def _prompt(self, model: Any, is_query: bool) -> dict[str, str]:
        """The prompt to be used in place of the model's own, if there is to be one."""
        if any(model.prompts.values()) and not self._ignores_prompts:
            return {}
        prefixes: Prefixes = self._known
        return {"prompt": prefixes.query if is_query else prefixes.document}
