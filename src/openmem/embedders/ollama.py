"""Embedding models on Ollama, by its ``POST /api/embed``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Final, Unpack

from ..drivers.remote import check_key
from ._prefixes import prefixes_of
from ._remote import Endpoint, RemoteEmbedder, RequestSettings
from ._settings import check_model_name, split_dim

DEFAULT_MODEL: Final = "embeddinggemma"
DEFAULT_URL: Final = "http://127.0.0.1:11434"
DEFAULT_PORT: Final = "11434"
MAX_REQUEST_TEXTS: Final = 64
"""Texts in a request: a server on the same machine takes long for each."""
MAX_INPUT_BYTES: Final = 2_000
TIMEOUT_SECONDS: Final = 300.0
"""The first request waits until the server has loaded the model."""


def create(model: str | None) -> OllamaEmbedder:
    """The embedder for ``"ollama"``, ``"ollama:<model>"`` or ``"ollama:<model>:<dim>"``; the model may have a tag."""
    name, dim = split_dim(DEFAULT_MODEL if model is None else model)
    return OllamaEmbedder(name, dim=dim)


class OllamaEmbedder(RemoteEmbedder):
    """Vectors from the Ollama server that ``OLLAMA_HOST`` names, or from the one on this machine. Thread-safe.

    The model must be on the server: ``ollama pull <model>``.

    Args:
        model: the server's name of the model, with or without a tag.
        dim: length of the vectors; by default that of the model. Some models can give shorter ones.
        base_url: by default from ``OLLAMA_HOST``, which may be a host, a host and a port, or a URL.
        api_key: for a server that wants one; by default from ``OLLAMA_API_KEY``.
        query_prefix: put before every query; by default what the model wants, if that is known from its name.
        document_prefix: put before every document; the same.
        settings: ``timeout``, ``max_retries``, ``batch_size``, ``max_input_bytes`` and ``long_texts``; see
            `RemoteEmbedder`.

    Raises:
        InvalidRequestError: a setting is out of its range.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        dim: int | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        query_prefix: str | None = None,
        document_prefix: str | None = None,
        **settings: Unpack[RequestSettings],
    ) -> None:
        prefixes = prefixes_of(check_model_name("ollama", model), query_prefix, document_prefix)
        key = os.environ.get("OLLAMA_API_KEY", "").strip() if api_key is None else api_key
        endpoint = Endpoint(
            url=_url_of(os.environ.get("OLLAMA_HOST", "").strip()) if base_url is None else base_url,
            url_setting="OLLAMA_HOST" if base_url is None else "base_url",
            path="/api/embed",
            key=key and check_key("embedder", key, "OLLAMA_API_KEY", "the key for Ollama is blank"),
            key_setting="OLLAMA_API_KEY",
        )
        defaults: RequestSettings = {"timeout": TIMEOUT_SECONDS, "max_input_bytes": MAX_INPUT_BYTES}
        super().__init__(
            "ollama",
            model,
            dim=dim,
            known_dim=None,
            endpoint=endpoint,
            prefixes=prefixes,
            most_texts=MAX_REQUEST_TEXTS,
            **(defaults | settings),
        )
        self._name = model

    def _body(self, texts: list[str], is_query: bool) -> dict[str, Any]:
        # What is too long is refused, and then sent in parts.
        return {"model": self._name, "input": texts, "truncate": False, **self._dimensions("dimensions")}

    def _items(self, answer: Any) -> Iterable[tuple[int | None, str | list[float]]]:
        return [(None, vector) for vector in answer["embeddings"]]


def _url_of(host: str) -> str:
    """The URL for what Ollama itself reads from ``OLLAMA_HOST``: the address it listens on, or a URL."""
    if not host or "://" in host:
        return host or DEFAULT_URL
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdigit():
        name, port = host, DEFAULT_PORT
    return f"http://{'127.0.0.1' if name in ('', '0.0.0.0', '[::]', '::') else name}:{port}"
