"""OpenAI's embedding models, and those of servers that speak the same protocol, through OpenAI's own SDK."""

from __future__ import annotations

import asyncio
import importlib
import math
import os
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from .._extras import require_extra
from .._forking import PerProcess
from .._retrying import retry_after
from ..errors import InvalidRequestError, OMPError, ProviderError, RateLimitedError, UnauthorizedError
from ..io import run_blocking
from . import checked

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


def create(model: str | None) -> OpenAIEmbedder:
    """The embedder for ``"openai"``, ``"openai:<model>"`` or ``"openai:<model>:<dim>"``."""
    if model is None:
        return OpenAIEmbedder()
    name, _, last = model.rpartition(":")
    if name and last.isascii() and last.isdigit():
        return OpenAIEmbedder(name, dim=int(last))
    return OpenAIEmbedder(model)


class Connections:
    """The SDK's clients of one process: one for `embed`, and one for each event loop that `aembed` is called on."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.blocking: OpenAI | None = None
        self.by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncOpenAI] = WeakKeyDictionary()


class OpenAIEmbedder:
    """Vectors from OpenAI, or from the server that ``OPENAI_BASE_URL`` names. Thread-safe.

    Nothing is imported or connected before `warm_up` or the first text. Texts too long for the model
    are embedded in parts, whose average, weighted by length, stands for the whole.

    Args:
        model: the service's name of the model.
        dim: length of the vectors. Known for OpenAI's own models, where the ``text-embedding-3``
            ones can give shorter vectors on request; needed for any other.
        api_key: by default from the environment variable ``OPENAI_API_KEY``.
        base_url: by default from ``OPENAI_BASE_URL``, else OpenAI's.
        timeout: seconds a request may take.
        max_retries: how often a request is tried again after a failure that may pass; the SDK waits
            as long as the server asks for, or longer from try to try.

    Raises:
        InvalidRequestError: there is no key, or `dim` is missing or not one the model has.
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
            return client.embeddings.create(input=inputs, **self._request)

        return run_blocking(self._embed(texts, create))

    async def aembed(self, texts: Sequence[str]) -> list[list[float]]:
        """Like `embed`, without blocking the event loop."""
        client = await self._async_client()

        async def create(inputs: list[str]) -> CreateEmbeddingResponse:
            return await client.embeddings.create(input=inputs, **self._request)

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

    def _blocking_client(self) -> OpenAI:
        import openai  # noqa: PLC0415

        own = self._connections.get()
        with own.lock:
            if own.blocking is None:
                own.blocking = openai.OpenAI(**self._settings)
            return own.blocking

    async def _async_client(self) -> AsyncOpenAI:
        """The client of the running loop: its connections cannot be used on another one.

        It is made in a thread, since the SDK's import and the reading of the certificates take long.
        """
        loop = asyncio.get_running_loop()
        client = self._connections.get().by_loop.get(loop)
        return client if client is not None else await asyncio.to_thread(self._async_client_of, loop)

    def _async_client_of(self, loop: asyncio.AbstractEventLoop) -> AsyncOpenAI:
        import openai  # noqa: PLC0415

        own = self._connections.get()
        with own.lock:
            if loop not in own.by_loop:
                self.warm_up()
                own.by_loop[loop] = openai.AsyncOpenAI(**self._settings)
            return own.by_loop[loop]

    async def _embed(
        self, texts: Sequence[str], create: Callable[[list[str]], Awaitable[CreateEmbeddingResponse]]
    ) -> list[list[float]]:
        parts = [part for number, text in enumerate(texts) for part in _split(number, text)]
        vectors: list[list[float]] = []
        for batch in _batches(parts):
            with self._translated():
                response = await create([part.text for part in batch])
                vectors += checked(self, batch, self._in_order(response, len(batch)))
        return _joined(parts, vectors)

    def _in_order(self, response: CreateEmbeddingResponse, count: int) -> list[list[float]]:
        by_index = {item.index: item.embedding for item in response.data}
        if len(response.data) != count or by_index.keys() != set(range(count)):
            raise ProviderError(
                f"embedder {self.model!r}: the service answered {count} texts with {len(response.data)} vectors, "
                f"{len(by_index)} of them with an index of their own"
            )
        return [by_index[index] for index in range(count)]

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn the SDK's exceptions into ours."""
        import openai  # noqa: PLC0415

        try:
            yield
        except openai.APITimeoutError as error:
            raise self._unavailable(f"no answer within {self._settings['timeout']:g} s") from error
        except openai.APIConnectionError as error:
            raise self._unavailable("the service cannot be reached") from error
        except openai.APIStatusError as error:
            raise self._refusal(error) from error
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            raise ProviderError(f"embedder {self.model!r}: the service's answer makes no sense") from error

    def _refusal(self, error: APIStatusError) -> OMPError:
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
        reason = error.message.replace(self._settings["api_key"], "***")
        return ProviderError(f"embedder {self.model!r}: the service refused the request: {reason}")

    def _unavailable(self, what: str) -> ProviderError:
        return ProviderError(f"embedder {self.model!r}: {what}", code="provider_unavailable")


@dataclass(frozen=True, slots=True)
class _Part:
    """A text, or a piece of one, as long as one input may be."""

    number: int
    text: str
    size: int


def _split(number: int, text: str) -> Iterator[_Part]:
    """The text in parts of at most `MAX_INPUT_BYTES`, broken after a space where there is one."""
    data = text.encode()
    while len(data) > MAX_INPUT_BYTES:
        end = data.rfind(b" ", MAX_INPUT_BYTES // 2, MAX_INPUT_BYTES) + 1 or MAX_INPUT_BYTES
        while data[end] & 0b1100_0000 == 0b1000_0000:
            end -= 1
        yield _Part(number, data[:end].decode(), end)
        data = data[end:]
    yield _Part(number, data.decode(), len(data))


def _batches(parts: list[_Part]) -> Iterator[list[_Part]]:
    batch: list[_Part] = []
    size = 0
    for part in parts:
        if batch and (len(batch) == MAX_REQUEST_INPUTS or size + part.size > MAX_REQUEST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(part)
        size += part.size
    if batch:
        yield batch


def _joined(parts: list[_Part], vectors: list[list[float]]) -> list[list[float]]:
    """One vector per text: of its only part, or the weighted average of its parts, of length 1."""
    groups: dict[int, list[tuple[int, list[float]]]] = {}
    for part, vector in zip(parts, vectors, strict=True):
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
