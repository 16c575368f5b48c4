"""Voyage AI's embedding models."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Final, Unpack

from ..drivers.remote import check_key
from ._remote import Endpoint, RemoteEmbedder, RequestSettings
from ._settings import check_model_name, split_dim

DEFAULT_MODEL: Final = "voyage-4"
DEFAULT_URL: Final = "https://api.voyageai.com/v1"
DIMS: Final = {
    "voyage-4": 1024,
    "voyage-4-large": 1024,
    "voyage-4-lite": 1024,
    "voyage-3.5": 1024,
    "voyage-3.5-lite": 1024,
    "voyage-3-large": 1024,
    "voyage-code-3": 1024,
    "voyage-finance-2": 1024,
    "voyage-law-2": 1024,
}
MAX_REQUEST_TEXTS: Final = 1_000


def create(model: str | None) -> VoyageEmbedder:
    """The embedder for ``"voyage"``, ``"voyage:<model>"`` or ``"voyage:<model>:<dim>"``."""
    name, dim = split_dim(DEFAULT_MODEL if model is None else model)
    return VoyageEmbedder(name, dim=dim)


class VoyageEmbedder(RemoteEmbedder):
    """Vectors from Voyage AI. Thread-safe. Queries are told from documents.

    Args:
        model: the service's name of the model.
        dim: length of the vectors; by default that of the model. The newer models can give 256, 512 and 2,048, too.
        api_key: by default from the environment variable ``VOYAGE_API_KEY``.
        base_url: of a server with the same API; by default Voyage's.
        settings: ``timeout``, ``max_retries``, ``batch_size``, ``max_input_bytes`` and ``long_texts``; see
            `RemoteEmbedder`.

    Raises:
        InvalidRequestError: there is no key, or a setting is out of its range.
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
        key = check_key(
            "embedder",
            os.environ.get("VOYAGE_API_KEY", "") if api_key is None else api_key,
            "VOYAGE_API_KEY",
            "Voyage needs a key: set the environment variable VOYAGE_API_KEY, or pass "
            "embedder=VoyageEmbedder(api_key=...) from openmem.embedders.voyage",
        )
        endpoint = Endpoint(
            url=DEFAULT_URL if base_url is None else base_url,
            url_setting="base_url",
            path="/embeddings",
            key=key,
            key_setting="VOYAGE_API_KEY",
        )
        super().__init__(
            "voyage",
            model,
            dim=dim,
            known_dim=DIMS.get(check_model_name("voyage", model)),
            endpoint=endpoint,
            most_texts=MAX_REQUEST_TEXTS,
            **settings,
        )
        self._name = model

    def _body(self, texts: list[str], is_query: bool) -> dict[str, Any]:
        return {
            "model": self._name,
            "input": texts,
            "input_type": "query" if is_query else "document",
            # What is too long is refused, and then sent in parts.
            "truncation": False,
            "encoding_format": "base64",
            **self._dimensions("output_dimension"),
        }

    def _items(self, answer: Any) -> Iterable[tuple[int | None, str | list[float]]]:
        return [(item.get("index"), item["embedding"]) for item in answer["data"]]
