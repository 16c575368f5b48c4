"""Embedders behind an HTTP API: texts in batches and in parts, the limits of services, and the length of vectors."""

from __future__ import annotations

import array
import base64
import json
import logging
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, TypedDict

from .._model_calls import CheckedEmbedder
from ..drivers.remote import Post, RemoteModel, is_good, reason
from ..errors import InvalidRequestError
from ..ports.http import HttpResponse
from ._parts import SMALLEST_PART_BYTES, LongTexts, Part, check_long_texts, join_parts, parts_of, split
from ._prefixes import Prefixes
from ._settings import check_dim, check_model_name, check_number

TIMEOUT_SECONDS: Final = 60.0
MAX_RETRIES: Final = 2
MAX_REQUEST_INPUTS: Final = 2048
# A token is never shorter than a byte of UTF-8, so these many bytes keep within limits of 8,192 tokens a text and
# 300,000 a request, whatever the language.
MAX_INPUT_BYTES: Final = 8_000
MAX_REQUEST_BYTES: Final = 250_000

_REFUSED_SIZES: Final = frozenset({400, 413, 422})
_OF_BATCH: Final = re.compile(r"batch|array|too many|number of (inputs|texts|items)|inputs? (must|should)", re.I)
_OF_LENGTH: Final = re.compile(r"token|too long|longer than|too large|length|context|exceed", re.I)
# What llama.cpp says of a text, with status 500.
_OF_ONE_TEXT: Final = re.compile(r"too large to process|physical batch size", re.I)

logger = logging.getLogger("openmem.embedders")


class RequestSettings(TypedDict, total=False):
    """What all of them can be told of requests; see `RemoteEmbedder`."""

    timeout: float
    max_retries: int
    batch_size: int | None
    max_input_bytes: int
    long_texts: LongTexts


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where an embedder's requests go.

    Attributes:
        url: the service's base URL.
        url_setting: where the URL comes from, for messages.
        path: below the base URL.
        key: sent as a bearer token, unless it is empty.
        key_setting: where the key comes from, for messages.
        headers: sent with every request.
        is_final: whether a reply is not to be tried again though its status says that it may pass.
    """

    url: str
    url_setting: str
    path: str
    key: str
    key_setting: str
    headers: Mapping[str, str] = field(default_factory=dict)
    is_final: Callable[[HttpResponse], bool] = lambda reply: False


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


class RemoteEmbedder(ABC):
    """Vectors from a service. Thread-safe. Nothing is imported or connected before `warm_up` or the first text.

    A request that a server refuses as too large is sent again in parts: as many texts as the server says it
    takes, or half of them. A text that is too long for the server is sent in halves. Each limit is logged once. The
    settings below avoid requests that are refused. The vector of a text does not depend on the others of a request.

    Args:
        kind: the name of the embedder, before the colon.
        model: the service's name of the model.
        dim: length of the vectors; None for that of the model. The service is asked for it, if the model's own
            vectors are longer.
        known_dim: the length of the model's own vectors, if it is known.
        endpoint: where requests go.
        prefixes: what is put before texts.
        most_texts: texts that the service takes in a request, as far as that is known.
        timeout: seconds a request may take.
        max_retries: how often a request is tried again after a failure that may pass, after as long as the server
            asks for, or longer from try to try.
        batch_size: texts in a request, at most. By default what is known of the service.
        max_input_bytes: bytes of UTF-8 in a text, at most, at which `long_texts` begins. A token is seldom
            shorter than two bytes, and never than one.
        long_texts: what to do with a text that is too long: ``average`` embeds it in parts, whose average,
            weighted by length, stands for the whole; ``truncate`` embeds its beginning; ``refuse``
            raises.

    Attributes:
        model: the embedder's name, with its dimensions where they are not the model's own.

    Raises:
        InvalidRequestError: a setting is out of its range.
    """

    def __init__(
        self,
        kind: str,
        model: str,
        *,
        dim: int | None,
        known_dim: int | None,
        endpoint: Endpoint,
        prefixes: Prefixes = Prefixes(),  # noqa: B008 - immutable
        most_texts: int = MAX_REQUEST_INPUTS,
        timeout: float = TIMEOUT_SECONDS,
        max_retries: int = MAX_RETRIES,
        batch_size: int | None = None,
        max_input_bytes: int = MAX_INPUT_BYTES,
        long_texts: LongTexts = "average",
    ) -> None:
        check_model_name(kind, model)
        self._dim = known_dim if check_dim(dim) is None else dim
        self.model = f"{kind}:{model}" if self._dim == known_dim else f"{kind}:{model}:{self._dim}"
        self._sends_dim = known_dim is not None and self._dim != known_dim
        self._prefixes = prefixes
        self._remote = RemoteModel(
            f"embedder {self.model!r}",
            url=endpoint.url,
            url_setting=endpoint.url_setting,
            path=endpoint.path,
            key=endpoint.key,
            key_setting=endpoint.key_setting,
            headers=endpoint.headers,
            timeout=timeout,
            max_retries=max_retries,
            is_final=endpoint.is_final,
        )
        self._batch_size = most_texts if batch_size is None else check_number("batch_size", batch_size, 1)
        self._max_input_bytes = check_number("max_input_bytes", max_input_bytes, SMALLEST_PART_BYTES)
        self._long_texts = check_long_texts(long_texts)
        self._limits = _LIMITS.setdefault((self._remote.url, model), _ServerLimits())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r})"

    @property
    def dim(self) -> int | None:
        """Length of the vectors; None until the service has told it with the first of them."""
        return self._dim

    @property
    def is_symmetric(self) -> bool:
        """Whether the vector of a query is that of a document with the same text."""
        return self._prefixes.query == self._prefixes.document

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
        return self._remote.call(lambda post: self._embed(texts, False, post))

    async def aembed(self, texts: Sequence[str]) -> list[list[float]]:
        """Like `embed`, without blocking the event loop."""
        return await self._remote.acall(lambda post: self._embed(texts, False, post))

    def embed_query(self, text: str) -> list[float]:
        """The vector to search with for a text. Raises as `embed` does."""
        return self._remote.call(lambda post: self._embed([text], True, post))[0]

    async def aembed_query(self, text: str) -> list[float]:
        """Like `embed_query`, without blocking the event loop."""
        return (await self._remote.acall(lambda post: self._embed([text], True, post)))[0]

    def close(self) -> None:
        """Close the connections of `embed`. Idempotent; a later text opens new ones."""
        self._remote.close()

    async def aclose(self) -> None:
        """Close the connections of `embed`, and those of `aembed` on this event loop. Idempotent."""
        await self._remote.aclose()

    @abstractmethod
    def _body(self, texts: list[str], is_query: bool) -> dict[str, Any]:
        """What is sent for some texts, which are all queries or all documents."""

    @abstractmethod
    def _items(self, answer: Any) -> Iterable[tuple[int | None, str | list[float]]]:
        """The vectors in an answer, each with the index of its text if the answer has it. May raise as JSON does."""

    def _adapts(self, why: str) -> bool:
        """Whether a request that was refused can be written in another way; the next one then is."""
        return False

    def _dimensions(self, name: str) -> dict[str, int]:
        """The field of a request that asks for shorter vectors than the model's own, if they are wanted."""
        return {name: self._dim} if self._sends_dim and self._dim is not None else {}

    async def _embed(self, texts: Sequence[str], is_query: bool, post: Post) -> list[list[float]]:
        parts = parts_of(texts, self._max_input_bytes, self._long_texts, self.model)
        embedded: list[tuple[Part, list[float]]] = []
        position = 0
        while position < len(parts):
            batch = self._next_batch(parts, position)
            embedded += await self._embed_batch(batch, is_query, post)
            position += len(batch)
        return join_parts(embedded)

    async def _embed_batch(self, batch: list[Part], is_query: bool, post: Post) -> list[tuple[Part, list[float]]]:
        """The vectors of some parts, in one request, or in as many smaller ones as the service asks for."""
        prefix = self._prefixes.query if is_query else self._prefixes.document
        texts = [prefix + part.text for part in batch]
        reply = await post(self._body(texts, is_query))
        if is_good(reply):
            vectors = self._in_order(reply.content, len(batch))
            if self._dim is not None and not self._sends_dim and len(vectors[0]) != self._dim:
                self._sends_dim = True
                return await self._embed_batch(batch, is_query, post)
            vectors = CheckedEmbedder(self).check(batch, vectors)
            self._dim = len(vectors[0])
            return list(zip(batch, vectors, strict=True))
        smaller = self._smaller(batch, reply)
        if smaller is None:
            raise self._remote.failure(reply, [*texts, *(part.text for part in batch)])
        return [part for fewer in smaller for part in await self._embed_batch(fewer, is_query, post)]

    def _smaller(self, batch: list[Part], reply: HttpResponse) -> list[list[Part]] | None:
        """What to ask for in place of a batch that was refused; None if nothing would help."""
        if reply.status not in _REFUSED_SIZES and not is_size_refusal(reply):
            return None
        why = reason(reply)
        if self._adapts(why):
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
            items = [(index, _read_vector(written)) for index, written in self._items(json.loads(content))]
            indexes = [index for index, _ in items]
            if all(index is None for index in indexes):
                indexes = list(range(len(indexes)))
            by_index = dict(zip(indexes, (vector for _, vector in items), strict=True))
            sizes = {len(vector) for _, vector in items}
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise self._remote.nonsense() from error
        if len(items) != count or by_index.keys() != set(range(count)):
            raise self._remote.nonsense(
                f"has {len(items)} vectors for {count} texts, {len(by_index)} of them with an index of their own"
            )
        if sizes == {0}:
            raise self._remote.nonsense("has vectors without numbers")
        return [by_index[index] for index in range(count)]


def refuse_shortening(model: str, dim: int | None, known: int, *, can_shorten: bool) -> None:
    """Raise `InvalidRequestError` for dimensions that a model is known not to have."""
    if dim is not None and dim != known and (dim > known or not can_shorten):
        raise InvalidRequestError(f"embedder: {model!r} has {known} dimensions, not {dim}")


def is_size_refusal(reply: HttpResponse) -> bool:
    """Whether a server that says so with status 500 does not take a text of this size."""
    return reply.status == 500 and _OF_ONE_TEXT.search(reason(reply)) is not None


def _read_vector(written: str | list[float]) -> list[float]:
    """A vector as the server wrote it: as numbers, or as base64 of 32-bit floats, the lowest byte first."""
    if not isinstance(written, str):
        return written
    values = array.array("f", base64.b64decode(written, validate=True))
    if sys.byteorder == "big":
        values.byteswap()
    return values.tolist()
