"""OpenAI's embedding models, and those of servers that speak the same protocol, through OpenAI's own SDK."""

from __future__ import annotations

import asyncio
import importlib
import logging
import math
import os
import re
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from .._extras import require_extra
from .._forking import PerProcess, undisturbed
from .._model_calls import CheckedEmbedder
from .._network import trusts_environment
from .._quiet import quiet
from .._retrying import retry_after
from ..errors import InvalidRequestError, OMPError, ProviderError, RateLimitedError, UnauthorizedError
from ..ports import run_blocking

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI, OpenAI
    from openai.types import CreateEmbeddingResponse

DEFAULT_MODEL: Final = "text-embedding-3-small"
DIMS: Final = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
TIMEOUT: Final = 60.0
MAX_RETRIES: Final = 2

# The models' tokens are never shorter than a byte of UTF-8, so these many bytes keep within the
# service's limits of 8,192 tokens a text and 300,000 a request, whatever the language.
MAX_INPUT_BYTES: Final = 8_000
MAX_REQUEST_BYTES: Final = 250_000
MAX_REQUEST_INPUTS: Final = 2048
SMALLEST_PART_BYTES: Final = 64
LONGEST_REASON: Final = 300

KNOWN_BATCH_SIZES: Final = {"aliyuncs.com": 10, "cohere.ai": 96, "cohere.com": 96, "googleapis.com": 100}
"""Texts that services take in a request, by the end of their host's name."""

EncodingFormat: TypeAlias = Literal["base64", "float"]
LongTexts: TypeAlias = Literal["average", "truncate", "refuse"]

_REFUSED_SIZES: Final = frozenset({400, 413, 422})
_OF_BATCH: Final = re.compile(r"batch|array|too many|number of (inputs|texts|items)|inputs? (must|should)", re.I)
_OF_LENGTH: Final = re.compile(r"token|too long|longer than|too large|length|context|exceed", re.I)

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
class _Learned:
    """What a server has refused, so that nobody in this process asks for it again.

    Attributes:
        batch_size: texts that it takes in a request, at most.
        knows_base64: whether it may write vectors so.
        told: which of its limits the log has told of.
    """

    batch_size: int = MAX_REQUEST_INPUTS
    knows_base64: bool = True
    told: set[str] = field(default_factory=set)


_LEARNED: Final[dict[tuple[str, str], _Learned]] = {}
"""By the server's URL and the model."""


class Connections:
    """The SDK's clients of one process: one for `embed`, and one for each event loop that `aembed` is called on."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.blocking: OpenAI | None = None
        self.by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncOpenAI] = WeakKeyDictionary()


class OpenAIEmbedder:
    """Vectors from OpenAI, or from the server that ``OPENAI_BASE_URL`` names. Thread-safe.

    Nothing is imported or connected before `warm_up` or the first text.

    What a server does not take at once is sent again in smaller requests: as many texts as it says it
    takes, or half of them; a text that is too long for it, in halves. The log tells once. The settings
    below save the requests that are refused. The vector of a text does not depend on those around it.

    Args:
        model: the service's name of the model.
        dim: length of the vectors. Known for OpenAI's own models, where the ``text-embedding-3``
            ones can give shorter vectors on request; needed for any other.
        api_key: by default from the environment variable ``OPENAI_API_KEY``.
        base_url: by default from ``OPENAI_BASE_URL``, else OpenAI's.
        timeout: seconds a request may take.
        max_retries: how often a request is tried again after a failure that may pass; the SDK waits
            as long as the server asks for, or longer from try to try.
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
        ImportError: the ``openai`` extra is not installed.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        dim: int | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float = TIMEOUT,
        max_retries: int = MAX_RETRIES,
        batch_size: int | None = None,
        max_input_bytes: int = MAX_INPUT_BYTES,
        encoding_format: EncodingFormat | None = None,
        long_texts: LongTexts = "average",
    ) -> None:
        require_extra("OpenAIEmbedder", "openai", ("openai",))
        self.dim = _check_dim(model, dim)
        self.model = f"openai:{model}" if self.dim == DIMS.get(model) else f"openai:{model}:{self.dim}"
        self._request: dict[str, Any] = {"model": model}
        if model in DIMS and self.dim != DIMS[model]:
            self._request["dimensions"] = self.dim
        self._settings: dict[str, Any] = {
            "api_key": _check_key(os.environ.get("OPENAI_API_KEY", "") if api_key is None else api_key),
            "base_url": base_url,
            "timeout": timeout,
            "max_retries": max_retries,
        }
        self._url = os.environ.get("OPENAI_BASE_URL", "") if base_url is None else base_url
        self._batch_size = _check_batch_size(batch_size, urlsplit(self._url).hostname or "")
        self._max_input_bytes = _check_number("max_input_bytes", max_input_bytes, SMALLEST_PART_BYTES)
        self._long_texts = _check_choice("long_texts", long_texts, get_args(LongTexts))
        if encoding_format is not None:
            self._request["encoding_format"] = _check_choice(
                "encoding_format", encoding_format, get_args(EncodingFormat)
            )
        self._learned = _LEARNED.setdefault((self._url, model), _Learned())
        self._connections = PerProcess(Connections, contents=lambda own: [*own.by_loop.items()])

    def __repr__(self) -> str:
        return f"OpenAIEmbedder({self.model!r})"

    def warm_up(self) -> None:
        """Import the SDK, which takes about half a second."""
        importlib.import_module("openai.resources.embeddings")

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector per text, in as few requests as the service allows, one after another.

        Raises:
            UnauthorizedError: the service refused the key.
            RateLimitedError: the service asks to slow down, or the account's quota is used up.
            ProviderError: the service failed (``provider_unavailable`` if that may pass) or its
                answer makes no sense.
        """
        client = self._blocking_client()

        async def create(inputs: list[str]) -> CreateEmbeddingResponse:
            return client.embeddings.create(input=inputs, **self._body)

        return run_blocking(self._embed(texts, create))

    async def aembed(self, texts: Sequence[str]) -> list[list[float]]:
        """Like `embed`, without blocking the event loop."""
        client = await self._async_client()

        async def create(inputs: list[str]) -> CreateEmbeddingResponse:
            return await client.embeddings.create(input=inputs, **self._body)

        return await self._embed(texts, create)

    def close(self) -> None:
        """Close the connections of `embed`. Idempotent; a later text opens new ones."""
        own = self._connections.get()
        with own.lock:
            client, own.blocking = own.blocking, None
        if client is not None:
            client.close()

    async def aclose(self) -> None:
        """Close the connections of `embed`, and those of `aembed` on this event loop. Idempotent."""
        self.close()
        own = self._connections.get()
        with own.lock:
            client = own.by_loop.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    @undisturbed()
    def _blocking_client(self) -> OpenAI:
        import openai  # noqa: PLC0415

        own = self._connections.get()
        with own.lock:
            if own.blocking is None:
                own.blocking = openai.OpenAI(**self._settings, http_client=self._own_client(openai.DefaultHttpxClient))
            return own.blocking

    async def _async_client(self) -> AsyncOpenAI:
        """The client of the running loop: its connections cannot be used on another one.

        It is made in a thread, since the SDK's import and the reading of the certificates take long.
        """
        loop = asyncio.get_running_loop()
        client = self._connections.get().by_loop.get(loop)
        return client if client is not None else await asyncio.to_thread(self._async_client_of, loop)

    @undisturbed()
    def _async_client_of(self, loop: asyncio.AbstractEventLoop) -> AsyncOpenAI:
        import openai  # noqa: PLC0415

        own = self._connections.get()
        with own.lock:
            if loop not in own.by_loop:
                self.warm_up()
                own.by_loop[loop] = openai.AsyncOpenAI(
                    **self._settings, http_client=self._own_client(openai.DefaultAsyncHttpxClient)
                )
            return own.by_loop[loop]

    @property
    def _body(self) -> dict[str, Any]:
        """What every request says beside the texts."""
        return self._request if self._learned.knows_base64 else {"encoding_format": "float", **self._request}

    def _own_client(self, make: Callable[..., Any]) -> Any:
        """Connections to a loopback address, which never goes through a proxy; None for what the SDK makes itself."""
        if trusts_environment(self._url):
            return None
        import httpx  # noqa: PLC0415

        return make(trust_env=False, verify=httpx.create_ssl_context())

    async def _embed(
        self, texts: Sequence[str], create: Callable[[list[str]], Awaitable[CreateEmbeddingResponse]]
    ) -> list[list[float]]:
        parts = [part for number, text in enumerate(texts) for part in self._parts(number, text)]
        embedded: list[tuple[_Part, list[float]]] = []
        position = 0
        while position < len(parts):
            batch = self._next_batch(parts, position)
            embedded += await self._embed_batch(batch, create)
            position += len(batch)
        return _joined(embedded)

    async def _embed_batch(
        self, batch: list[_Part], create: Callable[[list[str]], Awaitable[CreateEmbeddingResponse]]
    ) -> list[tuple[_Part, list[float]]]:
        """The vectors of some parts, in one request, or in as many smaller ones as the service asks for."""
        import openai  # noqa: PLC0415

        smaller: list[list[_Part]] | None = None
        with self._translated(batch), quiet():
            try:
                response = await create([part.text for part in batch])
            except openai.APIStatusError as error:
                smaller = self._smaller(batch, error)
                if smaller is None:
                    raise
            else:
                vectors = CheckedEmbedder(self).check(batch, self._in_order(response, len(batch)))
                return list(zip(batch, vectors, strict=True))
        return [part for fewer in smaller for part in await self._embed_batch(fewer, create)]

    def _smaller(self, batch: list[_Part], error: APIStatusError) -> list[list[_Part]] | None:
        """What to ask for in place of a batch that was refused; None if nothing would help."""
        if error.status_code not in _REFUSED_SIZES:
            return None
        reason = _reason(error)
        if "encoding_format" not in self._body and re.search("base64|encoding_format", reason, re.I):
            self._learned.knows_base64 = False
            return [batch]
        says_why = reason.lower() not in ("", HTTPStatus(error.status_code).phrase.lower())
        if says_why and error.status_code != 413 and not (_OF_BATCH.search(reason) or _OF_LENGTH.search(reason)):
            return None
        if len(batch) > 1:
            size = len(batch) // 2
            named = [int(number) for number in re.findall(r"\b\d{1,5}\b", reason) if 0 < int(number) < len(batch)]
            if _OF_BATCH.search(reason):
                size = max(named, default=size)
                self._learned.batch_size = min(self._learned.batch_size, size)
                self._tell_once("batch_size", f"it takes {size} texts in a request; batch_size={size} says so at once")
            return [batch[start : start + size] for start in range(0, len(batch), size)]
        [part] = batch
        is_too_long = error.status_code == 413 or _OF_LENGTH.search(reason) is not None
        if not is_too_long or part.size < 2 * SMALLEST_PART_BYTES or self._long_texts == "refuse":
            return None
        self._tell_once(
            "max_input_bytes",
            f"it refuses texts of {part.size} bytes as too long; they are embedded in parts, or their beginning is; "
            "a lower max_input_bytes saves the requests that are refused",
        )
        # A little more than half: two parts, not three.
        halves = [[half] for half in _split(part.number, part.text, part.size // 2 + 4)]
        return halves[:1] if self._long_texts == "truncate" else halves

    def _tell_once(self, about: str, what: str) -> None:
        if about not in self._learned.told:
            self._learned.told.add(about)
            logger.warning("embedder %r: the service has a limit: %s", self.model, what)

    def _parts(self, number: int, text: str) -> list[_Part]:
        parts = list(_split(number, text, self._max_input_bytes))
        if len(parts) > 1 and self._long_texts == "refuse":
            size = sum(part.size for part in parts)
            raise InvalidRequestError(
                f"embedder {self.model!r}: a text has {size} bytes, max_input_bytes are {self._max_input_bytes}; "
                "shorten it, or let the embedder do with long_texts='average' or 'truncate'"
            )
        return parts[:1] if self._long_texts == "truncate" else parts

    def _next_batch(self, parts: list[_Part], position: int) -> list[_Part]:
        size, end = 0, position
        most = min(self._batch_size, self._learned.batch_size)
        while end < len(parts) and end - position < most:
            size += parts[end].size
            if size > MAX_REQUEST_BYTES and end > position:
                break
            end += 1
        return parts[position:end]

    def _in_order(self, response: CreateEmbeddingResponse, count: int) -> list[list[float]]:
        indexes = [getattr(item, "index", None) for item in response.data]
        if all(index is None for index in indexes):
            indexes = list(range(len(indexes)))
        by_index = dict(zip(indexes, (item.embedding for item in response.data), strict=True))
        if len(response.data) != count or by_index.keys() != set(range(count)):
            raise ProviderError(
                f"embedder {self.model!r}: the service answered {count} texts with {len(response.data)} vectors, "
                f"{len(by_index)} of them with an index of their own"
            )
        return [by_index[index] for index in range(count)]

    @contextmanager
    def _translated(self, batch: Sequence[_Part]) -> Iterator[None]:
        """Turn the SDK's exceptions about a batch into ours."""
        import openai  # noqa: PLC0415

        try:
            yield
        except openai.APITimeoutError as error:
            raise self._unavailable(f"no answer within {self._settings['timeout']:g} s") from error
        except openai.APIConnectionError as error:
            raise self._unavailable("the service cannot be reached") from error
        except openai.APIStatusError as error:
            raise self._refusal(error, batch) from error
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            raise ProviderError(f"embedder {self.model!r}: the service's answer makes no sense") from error

    def _refusal(self, error: APIStatusError, batch: Sequence[_Part]) -> OMPError:
        status = error.status_code
        if status in (401, 403):
            return UnauthorizedError(
                f"embedder {self.model!r}: the service refused the key ({status}); check OPENAI_API_KEY"
            )
        if status == 429:
            reason = f" ({error.code})" if error.code else ""
            return RateLimitedError(
                f"embedder {self.model!r}: the service asks to slow down{reason}",
                retry_after=_asked_to_wait(error.response.headers),
            )
        if status >= 500 or status in (408, 409):
            return self._unavailable(f"the service failed with status {status}")
        reason = _reason(error).replace(self._settings["api_key"], "***")
        if any(part.text[:24] in reason for part in batch if part.size > 3):
            reason = "its message repeats the text"
        return ProviderError(
            f"embedder {self.model!r}: the service refused the request ({status}): {reason[:LONGEST_REASON]}"
        )

    def _unavailable(self, what: str) -> ProviderError:
        return ProviderError(f"embedder {self.model!r}: {what}", code="provider_unavailable")


@dataclass(frozen=True, slots=True)
class _Part:
    """A text, or a piece of one, as long as one input may be."""

    number: int
    text: str
    size: int


def _split(number: int, text: str, most: int) -> Iterator[_Part]:
    """The text in parts of at most `most` bytes, broken after a space where there is one."""
    data = text.encode()
    while len(data) > most:
        end = data.rfind(b" ", most // 2, most) + 1 or most
        while data[end] & 0b1100_0000 == 0b1000_0000:
            end -= 1
        yield _Part(number, data[:end].decode(), end)
        data = data[end:]
    yield _Part(number, data.decode(), len(data))


def _joined(embedded: list[tuple[_Part, list[float]]]) -> list[list[float]]:
    """One vector per text: of its only part, or the weighted average of its parts, of length 1."""
    groups: dict[int, list[tuple[int, list[float]]]] = {}
    for part, vector in embedded:
        groups.setdefault(part.number, []).append((part.size, vector))
    return [group[0][1] if len(group) == 1 else _average(group) for group in groups.values()]


def _average(group: list[tuple[int, list[float]]]) -> list[float]:
    weights = [size for size, _ in group]
    total = [
        sum(weight * value for weight, value in zip(weights, column, strict=True))
        for column in zip(*(vector for _, vector in group), strict=True)
    ]
    norm = math.hypot(*total) or 1.0
    return [value / norm for value in total]


def _reason(error: APIStatusError) -> str:
    """The message of a refusal: as OpenAI has it, or as others do; without the request, which some repeat."""
    found: object = error.body
    where = ""
    for name in ("error", "message", "detail", "msg"):
        if isinstance(found, list) and found:
            found = found[0]
        if isinstance(found, dict) and found.get(name):
            # Servers made with FastAPI name the field beside the message.
            where = "encoding_format: " if name == "msg" and "encoding_format" in (found.get("loc") or ()) else where
            found = found[name]
    return f"{where}{found}" if isinstance(found, str) else ""


def _check_batch_size(size: int | None, host: str) -> int:
    if size is not None:
        return _check_number("batch_size", size, 1)
    known = [number for end, number in KNOWN_BATCH_SIZES.items() if f".{host}".endswith(f".{end}")]
    return min([MAX_REQUEST_INPUTS, *known])


def _check_number(name: str, value: int, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidRequestError(f"embedder: {name} must be a whole number from {least}, not {value!r}")
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


def _check_key(key: str) -> str:
    key = key.strip()
    if not key:
        raise InvalidRequestError(
            "embedder: OpenAI needs a key: set the environment variable OPENAI_API_KEY, or pass "
            "embedder=OpenAIEmbedder(api_key=...) from openmem.embedders.openai; "
            "embedder='wordllama' and embedder='hashing' need none"
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise InvalidRequestError("embedder: OPENAI_API_KEY has characters that no key has")
    return key


def _asked_to_wait(headers: Any) -> float | None:
    """The seconds the service asks to wait, in OpenAI's own header or the standard one."""
    milliseconds = retry_after(headers.get("retry-after-ms"))
    return retry_after(headers.get("retry-after")) if milliseconds is None else milliseconds / 1000
