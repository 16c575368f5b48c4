"""Cohere's embedding models, and those of servers that have the same ``POST /v2/embed``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Final, Unpack

from ..drivers.remote import check_key
from ._remote import Endpoint, RemoteEmbedder, RequestSettings, refuse_shortening
from ._settings import check_dim, check_model_name, split_dim

DEFAULT_MODEL: Final = "embed-v4.0"
DEFAULT_URL: Final = "https://api.cohere.com"
DIMS: Final = {
    "embed-v4.0": 1536,
    "embed-multilingual-v3.0": 1024,
    "embed-english-v3.0": 1024,
    "embed-multilingual-light-v3.0": 384,
    "embed-english-light-v3.0": 384,
}
MAX_REQUEST_TEXTS: Final = 96


def create(model: str | None) -> CohereEmbedder:
    """The embedder for ``"cohere"``, ``"cohere:<model>"`` or ``"cohere:<model>:<dim>"``."""
    name, dim = split_dim(DEFAULT_MODEL if model is None else model)
    return CohereEmbedder(name, dim=dim)


class CohereEmbedder(RemoteEmbedder):
    """Vectors from Cohere, or from the server that ``CO_API_URL`` names. Thread-safe. Queries are told from documents.

    Args:
        model: the service's name of the model.
        dim: length of the vectors; by default that of the model. ``embed-v4.0`` can give 256, 512 and 1,024, too.
        api_key: by default from the environment variable ``CO_API_KEY``.
        base_url: by default from ``CO_API_URL``, else Cohere's.
        settings: ``timeout``, ``max_retries``, ``batch_size``, ``max_input_bytes`` and ``long_texts``; see
            `RemoteEmbedder`.

    Raises:
        InvalidRequestError: there is no key, `dim` is not one the model has, or a setting is out of its range.
    """

    is_symmetric = False

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        dim: int | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        **settings: Unpack[RequestSettings],
    ) -> None:
        known = DIMS.get(check_model_name("cohere", model))
        if known is not None:
            refuse_shortening(model, check_dim(dim), known, can_shorten=model == "embed-v4.0")
        key = check_key(
            "embedder",
            os.environ.get("CO_API_KEY", "") if api_key is None else api_key,
            "CO_API_KEY",
            "Cohere needs a key: set the environment variable CO_API_KEY, or pass "
            "embedder=CohereEmbedder(api_key=...) from openmem.embedders.cohere",
        )
        endpoint = Endpoint(
            url=(os.environ.get("CO_API_URL", "").strip() or DEFAULT_URL) if base_url is None else base_url,
            url_setting="CO_API_URL" if base_url is None else "base_url",
            path="/v2/embed",
            key=key,
            key_setting="CO_API_KEY",
        )
        super().__init__(
            "cohere", model, dim=dim, known_dim=known, endpoint=endpoint, most_texts=MAX_REQUEST_TEXTS, **settings
        )
        self._name = model

    def _body(self, texts: list[str], is_query: bool) -> dict[str, Any]:
        return {
            "model": self._name,
            "texts": texts,
            "input_type": "search_query" if is_query else "search_document",
            "embedding_types": ["float"],
            # What is too long is refused, and then sent in parts.
            "truncate": "NONE",
            **self._dimensions("output_dimension"),
        }

    def _items(self, answer: Any) -> Iterable[tuple[int | None, str | list[float]]]:
        return [(None, vector) for vector in answer["embeddings"]["float"]]
