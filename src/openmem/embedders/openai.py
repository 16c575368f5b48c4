"""OpenAI's embedding models, and those of servers that have the same ``POST /embeddings``."""

from __future__ import annotations

import array
import base64
import json
import logging
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Literal, TypeAlias, get_args
from urllib.parse import urlsplit

from .._model_calls import CheckedEmbedder
from ..drivers.remote import Post, RemoteModel, check_key, is_good, reason
from ..errors import InvalidRequestError
from ..ports.http import HttpResponse
from ._parts import Part, join_parts, split

DEFAULT_MODEL: Final = "text-embedding-3-small"
DEFAULT_URL: Final = "https://api.openai.com/v1"
DIMS: Final = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
TIMEOUT_SECONDS: Final = 60.0
MAX_RETRIES: Final = 2

# The models' tokens are never shorter than a byte of UTF-8, so these many bytes keep within the
# service's limits of 8,192 tokens a text and 300,000 a request, whatever the language.
MAX_INPUT_BYTES: Final = 8_000
MAX_REQUEST_BYTES: Final = 250_000
MAX_REQUEST_INPUTS: Final = 2048
SMALLEST_PART_BYTES: Final = 64

KNOWN_BATCH_SIZES: Final = {"aliyuncs.com": 10, "cohere.ai": 96, "cohere.com": 96, "googleapis.com": 100}
"""Texts that services take in a request, by the end of their host's name."""

EncodingFormat: TypeAlias = Literal["base64", "float"]
LongTexts: TypeAlias = Literal["average", "truncate", "refuse"]

_ORGANIZATION_HEADERS: Final = {"OPENAI_ORG_ID": "OpenAI-Organization", "OPENAI_PROJECT_ID": "OpenAI-Project"}

_REFUSED_SIZES: Final = frozenset({400, 413, 422})
_OF_ENCODING: Final = re.compile("base64|encoding_format", re.I)
_OF_BATCH: Final = re.compile(r"batch|array|too many|number of (inputs|texts|items)|inputs? (must|should)", re.I)
_OF_LENGTH: Final = re.compile(r"token|too long|longer than|too large|length|context|exceed", re.I)
# What llama.cpp says of a text, with status 500.
_OF_ONE_TEXT: Final = re.compile(r"too large to process|physical batch size", re.I)

logger = logging.getLogger("openmem.embedders")


def create(model: str | None) -> OpenAIEmbedder:
    """The embedder for ``"openai"``, ``"openai:<model>"`` or ``"openai:<model>:<dim>"``."""
    if model is None:
        return OpenAIEmbedder()
    name, _, last = model.rpartition(":")
    if name and last.isascii() and last.isdigit():
        return OpenAIEmbedder(name, dim=int(last))
    return OpenAIEmbedder(model)


@dataclass(slots=True)
class _ServerLimits:
    """What a server has refused, so that nobody in this process asks for it again.

    Attributes:
        batch_size: texts that it takes in a request, at most.
        knows_base64: whether it may write vectors so.
        logged: which of its limits were logged already.
    """

    batch_size: int = MAX_REQUEST_INPUTS
    knows_base64: bool = True
    logged: set[str] = field(default_factory=set)


_LIMITS: Final[dict[tuple[str, str], _ServerLimits]] = {}
"""By the server's URL and the model."""


class OpenAIEmbedder:
    """Vectors from OpenAI, or from the server that ``OPENAI_BASE_URL`` names. Thread-safe.

    Nothing is imported or connected before `warm_up` or the first text.

    A request that a server refuses as too large is sent again in parts: as many texts as the server says it
    takes, or half of them. A text that is too long for the server is sent in halves. Each limit is logged once. The
    settings below avoid requests that are refused. The vector of a text does not depend on the others of a request.

    Args:
        model: the service's name of the model.
        dim: length of the vectors. Known for OpenAI's own models, where the ``text-embedding-3``
            ones can give shorter vectors on request; needed for any other.
        api_key: by default from the environment variable ``OPENAI_API_KEY``.
        base_url: by default from ``OPENAI_BASE_URL``, else OpenAI's. ``OPENAI_ORG_ID`` and ``OPENAI_PROJECT_ID``
            are sent too.
        timeout: seconds a request may take.
        max_retries: how often a request is tried again after a failure that may pass, after as long as the server
            asks for, or longer from try to try.
        batch_size: texts in a request, at most. By default what is known of the service, else 2,048.
        max_input_bytes: bytes of UTF-8 in a text, at most, at which `long_texts` begins. A token is seldom
            shorter than two bytes, and never than one.
        encoding_format: how the server writes vectors: ``base64`` is shorter, ``float`` is what every
            server has. By default ``base64``, and ``float`` once the server refuses it.
        long_texts: what to do with a text that is too long: ``average`` embeds it in parts, whose average,
            weighted by length, stands for the whole; ``truncate`` embeds its beginning; ``refuse``
            raises.

    Raises:
        InvalidRequestError: there is no key, `dim` is missing or not one the model has, or a setting is
            out of its range.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        dim: int | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        max_retries: int = MAX_RETRIES,
        batch_size: int | None = None,
        max_input_bytes: int = MAX_INPUT_BYTES,
        encoding_format: EncodingFormat | None = None,
        long_texts: LongTexts = "average",
    ) -> None:
        self.dim = _check_dim(model, dim)
        self.model = f"openai:{model}" if self.dim == DIMS.get(model) else f"openai:{model}:{self.dim}"
        self._request: dict[str, Any] = {"model": model}
        if model in DIMS and self.dim != DIMS[model]:
            self._request["dimensions"] = self.dim
        key = check_key(
            "embedder",
            os.environ.get("OPENAI_API_KEY", "") if api_key is None else api_key,
            "OPENAI_API_KEY",
            "OpenAI needs a key: set the environment variable OPENAI_API_KEY, or pass "
            "embedder=OpenAIEmbedder(api_key=...) from openmem.embedders.openai; "
            "embedder='wordllama' and embedder='hashing' need none",
        )
        self._remote = RemoteModel(
            f"embedder {self.model!r}",
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
            timeout=timeout,
            max_retries=max_retries,
            is_final=_is_size_refusal,
        )
        self._batch_size = _check_batch_size(batch_size, urlsplit(self._remote.url).hostname or "")
        self._max_input_bytes = _check_number("max_input_bytes", max_input_bytes, SMALLEST_PART_BYTES)
        self._long_texts = _check_choice("long_texts", long_texts, get_args(LongTexts))
        if encoding_format is not None:
            self._request["encoding_format"] = _check_choice(
                "encoding_format", encoding_format, get_args(EncodingFormat)
            )
        self._limits = _LIMITS.setdefault((self._remote.url, model), _ServerLimits())

    def __repr__(self) -> str:
        return f"OpenAIEmbedder({self.model!r})"

    def warm_up(self) -> None:
        """Import what requests need, which takes a tenth of a second."""
        self._remote.load()

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector per text, in as few requests as the service allows, one after another.

        Raises:
            UnauthorizedError: the service refused the key.
            RateLimitedError: the service asks to slow down, or the account's quota is used up.
            ProviderError: the service failed (``provider_unavailable`` if that may pass) or its
                answer makes no sense.
        """
        return self._remote.call(lambda post: self._embed(texts, post))

    async def aembed(self, texts: Sequence[str]) -> list[list[float]]:
        """Like `embed`, without blocking the event loop."""
        return await self._remote.acall(lambda post: self._embed(texts, post))

    def close(self) -> None:
        """Close the connections of `embed`. Idempotent; a later text opens new ones."""
        self._remote.close()

    async def aclose(self) -> None:
        """Close the connections of `embed`, and those of `aembed` on this event loop. Idempotent."""
        await self._remote.aclose()

    @property
    def _encoding(self) -> str:
        """How vectors are asked for."""
        chosen: str | None = self._request.get("encoding_format")
        return chosen or ("base64" if self._limits.knows_base64 else "float")

    async def _embed(self, texts: Sequence[str], post: Post) -> list[list[float]]:
        parts = [part for number, text in enumerate(texts) for part in self._parts(number, text)]
        embedded: list[tuple[Part, list[float]]] = []
        position = 0
        while position < len(parts):
            batch = self._next_batch(parts, position)
            embedded += await self._embed_batch(batch, post)
            position += len(batch)
        return join_parts(embedded)

    async def _embed_batch(self, batch: list[Part], post: Post) -> list[tuple[Part, list[float]]]:
        """The vectors of some parts, in one request, or in as many smaller ones as the service asks for."""
        texts = [part.text for part in batch]
        reply = await post({**self._request, "encoding_format": self._encoding, "input": texts})
        if is_good(reply):
            vectors = CheckedEmbedder(self).check(batch, self._in_order(reply.content, len(batch)))
            return list(zip(batch, vectors, strict=True))
        smaller = self._smaller(batch, reply)
        if smaller is None:
            raise self._remote.failure(reply, texts)
        return [part for fewer in smaller for part in await self._embed_batch(fewer, post)]

    def _smaller(self, batch: list[Part], reply: HttpResponse) -> list[list[Part]] | None:
        """What to ask for in place of a batch that was refused; None if nothing would help."""
        if reply.status not in _REFUSED_SIZES and not _is_size_refusal(reply):
            return None
        why = reason(reply)
        if self._encoding == "base64" and "encoding_format" not in self._request and _OF_ENCODING.search(why):
            self._limits.knows_base64 = False
            return [batch]
        says_why = why.lower() not in ("", HTTPStatus(reply.status).phrase.lower())
        is_of_batch = _OF_BATCH.search(why) is not None and _OF_ONE_TEXT.search(why) is None
        is_too_long = reply.status == 413 or _OF_LENGTH.search(why) is not None
        if says_why and not (is_of_batch or is_too_long):
            return None
        if len(batch) > 1:
            size = len(batch) // 2
            named = [int(number) for number in re.findall(r"\b\d{1,5}\b", why) if 0 < int(number) < len(batch)]
            if is_of_batch:
                size = max(named, default=size)
                self._limits.batch_size = min(self._limits.batch_size, size)
                self._tell_once("batch_size", f"it takes {size} texts in a request; batch_size={size} says so at once")
            return [batch[start : start + size] for start in range(0, len(batch), size)]
        [part] = batch
        if not is_too_long or part.size < 2 * SMALLEST_PART_BYTES or self._long_texts == "refuse":
            return None
        self._tell_once(
            "max_input_bytes",
            f"it refuses texts of {part.size} bytes as too long; they are embedded in parts, or their beginning is; "
            "a lower max_input_bytes saves the requests that are refused",
        )
        # A little more than half: two parts, not three.
        halves = [[half] for half in split(part.number, part.text, part.size // 2 + 4)]
        return halves[:1] if self._long_texts == "truncate" else halves

    def _tell_once(self, about: str, what: str) -> None:
        if about not in self._limits.logged:
            self._limits.logged.add(about)
            logger.warning("embedder %r: the service has a limit: %s", self.model, what)

    def _parts(self, number: int, text: str) -> list[Part]:
        parts = list(split(number, text, self._max_input_bytes))
        if len(parts) > 1 and self._long_texts == "refuse":
            size = sum(part.size for part in parts)
            raise InvalidRequestError(
                f"embedder {self.model!r}: a text has {size} bytes, max_input_bytes are {self._max_input_bytes}; "
                "shorten it, or let the embedder do with long_texts='average' or 'truncate'"
            )
        return parts[:1] if self._long_texts == "truncate" else parts

    def _next_batch(self, parts: list[Part], position: int) -> list[Part]:
        size, end = 0, position
        most = min(self._batch_size, self._limits.batch_size)
        while end < len(parts) and end - position < most:
            size += parts[end].size
            if size > MAX_REQUEST_BYTES and end > position:
                break
            end += 1
        return parts[position:end]

    def _in_order(self, content: bytes, count: int) -> list[list[float]]:
        try:
            items: Any = json.loads(content)["data"]
            vectors = [_read_vector(item["embedding"]) for item in items]
            indexes = [item.get("index") for item in items]
            if all(index is None for index in indexes):
                indexes = list(range(len(indexes)))
            by_index = dict(zip(indexes, vectors, strict=True))
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise self._remote.nonsense() from error
        if len(vectors) != count or by_index.keys() != set(range(count)):
            raise self._remote.nonsense(
                f"has {len(vectors)} vectors for {count} texts, {len(by_index)} of them with an index of their own"
            )
        return [by_index[index] for index in range(count)]


def _read_vector(written: str | list[float]) -> list[float]:
    """A vector as the server wrote it: as numbers, or as base64 of 32-bit floats, the lowest byte first."""
    if not isinstance(written, str):
        return written
    values = array.array("f", base64.b64decode(written, validate=True))
    if sys.byteorder == "big":
        values.byteswap()
    return values.tolist()


def _is_size_refusal(reply: HttpResponse) -> bool:
    """Whether a server that says so with status 500 does not take a text of this size."""
    return reply.status == 500 and _OF_ONE_TEXT.search(reason(reply)) is not None


def _check_batch_size(size: int | None, host: str) -> int:
    if size is not None:
        return _check_number("batch_size", size, 1)
    known = [number for end, number in KNOWN_BATCH_SIZES.items() if f".{host}".endswith(f".{end}")]
    return min([MAX_REQUEST_INPUTS, *known])


def _check_number(name: str, value: int, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidRequestError(f"embedder: {name} must be a whole number from {least}, not {value!r}")
    return value


def _check_header(variable: str, value: str) -> str:
    if not (value.isascii() and value.isprintable()):
        raise InvalidRequestError(f"embedder: {variable} has characters that no header may have")
    return value


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise InvalidRequestError(f"embedder: {name} must be one of {', '.join(choices)}, not {value!r}")
    return value


def _check_dim(model: str, dim: int | None) -> int:
    if not isinstance(model, str) or not model.strip():
        raise InvalidRequestError("embedder: 'openai:' needs the name of a model after the colon")
    known = DIMS.get(model)
    if dim is None:
        if known is None:
            raise InvalidRequestError(
                f"embedder: the dimensions of {model!r} are not known; write 'openai:{model}:<dim>'. "
                f"Known are {', '.join(DIMS)}"
            )
        return known
    if not isinstance(dim, int) or isinstance(dim, bool) or dim < 1:
        raise InvalidRequestError(f"embedder: dim must be a whole number from 1, not {dim!r}")
    if known is not None and dim != known and (dim > known or not model.startswith("text-embedding-3")):
        raise InvalidRequestError(f"embedder: {model!r} has {known} dimensions, not {dim}")
    return dim
