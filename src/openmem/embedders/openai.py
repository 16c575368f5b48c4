"""OpenAI's embedding models, and those of servers that have the same ``POST /embeddings``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, Final, Literal, TypeAlias, Unpack, get_args
from urllib.parse import urlsplit

from ..drivers.remote import check_key
from ..errors import InvalidRequestError
from ._prefixes import prefixes_of
from ._remote import MAX_REQUEST_INPUTS, Endpoint, RemoteEmbedder, RequestSettings, is_size_refusal, refuse_shortening
from ._settings import check_choice, check_dim, check_model_name, split_dim

DEFAULT_MODEL: Final = "text-embedding-3-small"
DEFAULT_URL: Final = "https://api.openai.com/v1"
DIMS: Final = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}

KNOWN_BATCH_SIZES: Final = {"aliyuncs.com": 10, "cohere.ai": 96, "cohere.com": 96, "googleapis.com": 100}
"""Texts that services take in a request, by the end of their host's name."""

EncodingFormat: TypeAlias = Literal["base64", "float"]

_ORGANIZATION_HEADERS: Final = {"OPENAI_ORG_ID": "OpenAI-Organization", "OPENAI_PROJECT_ID": "OpenAI-Project"}
_OF_ENCODING: Final = re.compile("base64|encoding_format", re.I)


def create(model: str | None) -> OpenAIEmbedder:
    """The embedder for ``"openai"``, ``"openai:<model>"`` or ``"openai:<model>:<dim>"``."""
    if model is None:
        return OpenAIEmbedder()
    name, dim = split_dim(model)
    return OpenAIEmbedder(name, dim=dim)


class OpenAIEmbedder(RemoteEmbedder):
    """Vectors from OpenAI, or from the server that ``OPENAI_BASE_URL`` names. Thread-safe.

    Args:
        model: the service's name of the model.
        dim: length of the vectors; by default that of the model. OpenAI's ``text-embedding-3`` ones, and many of other
            servers, can give shorter vectors on request.
        api_key: by default from the environment variable ``OPENAI_API_KEY``.
        base_url: by default from ``OPENAI_BASE_URL``, else OpenAI's. ``OPENAI_ORG_ID`` and ``OPENAI_PROJECT_ID``
            are sent too.
        encoding_format: how the server writes vectors: ``base64`` is shorter, ``float`` is what every
            server has. By default ``base64``, and ``float`` once the server refuses it.
        query_prefix: put before every query; by default what the model wants, if that is known from its name.
        document_prefix: put before every document; the same.
        settings: ``timeout``, ``max_retries``, ``batch_size``, ``max_input_bytes`` and ``long_texts``; see
            `RemoteEmbedder`.

    Raises:
        InvalidRequestError: there is no key, `dim` is not one the model has, or a setting is out of its range.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        dim: int | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        encoding_format: EncodingFormat | None = None,
        query_prefix: str | None = None,
        document_prefix: str | None = None,
        **settings: Unpack[RequestSettings],
    ) -> None:
        known = DIMS.get(check_model_name("openai", model))
        if known is not None:
            refuse_shortening(model, check_dim(dim), known, can_shorten=model.startswith("text-embedding-3"))
        key = check_key(
            "embedder",
            os.environ.get("OPENAI_API_KEY", "") if api_key is None else api_key,
            "OPENAI_API_KEY",
            "OpenAI needs a key: set the environment variable OPENAI_API_KEY, or pass "
            "embedder=OpenAIEmbedder(api_key=...) from openmem.embedders.openai; "
            "embedder='wordllama' and embedder='hashing' need none",
        )
        endpoint = Endpoint(
            url=(os.environ.get("OPENAI_BASE_URL", "").strip() or DEFAULT_URL) if base_url is None else base_url,
            url_setting="OPENAI_BASE_URL" if base_url is None else "base_url",
            path="/embeddings",
            key=key,
            key_setting="OPENAI_API_KEY",
            headers={
                header: _check_header(variable, value)
                for variable, header in _ORGANIZATION_HEADERS.items()
                if (value := os.environ.get(variable, "").strip())
            },
            is_final=is_size_refusal,
        )
        super().__init__(
            "openai",
            model,
            dim=dim,
            known_dim=known,
            endpoint=endpoint,
            prefixes=prefixes_of(model, query_prefix, document_prefix),
            **settings,
        )
        if settings.get("batch_size") is None:
            self._batch_size = _known_batch_size(self._remote.url)
        self._name = model
        self._encoding_format: str | None = encoding_format
        if encoding_format is not None:
            check_choice("encoding_format", encoding_format, get_args(EncodingFormat))

    def _body(self, texts: list[str], is_query: bool) -> dict[str, Any]:
        return {
            "model": self._name,
            **self._dimensions("dimensions"),
            "encoding_format": self._encoding,
            "input": texts,
        }

    def _items(self, answer: Any) -> Iterable[tuple[int | None, str | list[float]]]:
        return [(item.get("index"), item["embedding"]) for item in answer["data"]]

    def _adapts(self, why: str) -> bool:
        if self._encoding_format is not None or self._encoding != "base64" or not _OF_ENCODING.search(why):
            return False
        self._limits.knows_base64 = False
        return True

    @property
    def _encoding(self) -> str:
        """How vectors are asked for."""
        return self._encoding_format or ("base64" if self._limits.knows_base64 else "float")


def _known_batch_size(url: str) -> int:
    host = urlsplit(url).hostname or ""
    known = [number for end, number in KNOWN_BATCH_SIZES.items() if f".{host}".endswith(f".{end}")]
    return min([MAX_REQUEST_INPUTS, *known])


def _check_header(variable: str, value: str) -> str:
    if not (value.isascii() and value.isprintable()):
        raise InvalidRequestError(f"embedder: {variable} has characters that no header may have")
    return value
