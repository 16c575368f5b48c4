"""Cohere's reranking models, through Cohere's own SDK."""

from __future__ import annotations

import asyncio
import importlib
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from weakref import WeakKeyDictionary

import httpx

from .._extras import require_extra
from .._forking import PerProcess, undisturbed
from .._network import trusts_environment
from .._quiet import quiet
from ..errors import InvalidRequestError, OMPError, ProviderError, RateLimitedError, UnauthorizedError

DEFAULT_MODEL: Final = "rerank-v3.5"
TIMEOUT: Final = 30.0
MAX_RETRIES: Final = 2


def create(model: str | None) -> CohereReranker:
    """The reranker for ``"cohere"`` or ``"cohere:<model>"``."""
    return CohereReranker(DEFAULT_MODEL if model is None else model)


class Connections:
    """The SDK's clients of one process: one for `rerank`, and one for each event loop that `arerank` is called on."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.blocking: Any = None
        self.by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()


class CohereReranker:
    """Scores from Cohere, or from the server that ``CO_API_URL`` names. Thread-safe.

    Nothing is imported or connected before `warm_up` or the first query. Of a long text the service
    reads the first 4,096 tokens.

    Args:
        model: the service's name of the model.
        api_key: by default from the environment variable ``CO_API_KEY``.
        base_url: by default from ``CO_API_URL``, else Cohere's.
        timeout: seconds a request may take.
        max_retries: how often a request is tried again after a failure that may pass.

    Raises:
        InvalidRequestError: there is no key, or no model.
        ImportError: the ``cohere`` extra is not installed.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float = TIMEOUT,
        max_retries: int = MAX_RETRIES,
    ) -> None:
        require_extra("CohereReranker", "cohere", ("cohere",))
        if not isinstance(model, str) or not model.strip():
            raise InvalidRequestError("reranker: 'cohere:' needs the name of a model after the colon")
        self.model = f"cohere:{model}"
        self._model = model
        self._timeout = timeout
        self._options = {"timeout_in_seconds": timeout, "max_retries": max_retries}
        self._key = _check_key(os.environ.get("CO_API_KEY", "") if api_key is None else api_key)
        self._settings: dict[str, Any] = {
            "api_key": self._key,
            "base_url": os.environ.get("CO_API_URL") or None if base_url is None else base_url,
            "timeout": timeout,
        }
        self._connections = PerProcess(Connections, contents=lambda own: [*own.by_loop.items()])

    def __repr__(self) -> str:
        return f"CohereReranker({self.model!r})"

    def warm_up(self) -> None:
        """Import the SDK, which takes a second or two."""
        importlib.import_module("cohere")

    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """The relevance of each text, in one request.

        Raises:
            UnauthorizedError: the service refused the key.
            RateLimitedError: the service asks to slow down.
            ProviderError: the service failed (``provider_unavailable`` if that may pass) or its
                answer makes no sense.
        """
        with self._translated(), quiet():
            client = self._blocking_client()
            return self._in_order(client.rerank(**self._request(query, texts)), len(texts))

    async def arerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """Like `rerank`, without blocking the event loop."""
        with self._translated(), quiet():
            client = await self._async_client()
            return self._in_order(await client.rerank(**self._request(query, texts)), len(texts))

    def close(self) -> None:
        """Close the connections of `rerank`. Idempotent; a later query opens new ones."""
        own = self._connections.get()
        with own.lock:
            transport, own.blocking = _transport_of(own.blocking), None
        if transport is not None:
            transport.close()

    async def aclose(self) -> None:
        """Close the connections of `rerank`, and those of `arerank` on this event loop. Idempotent."""
        self.close()
        own = self._connections.get()
        with own.lock:
            transport = _transport_of(own.by_loop.pop(asyncio.get_running_loop(), None))
        if transport is not None:
            await transport.aclose()

    def _request(self, query: str, texts: Sequence[str]) -> dict[str, Any]:
        return {
            "model": self._model,
            "query": query,
            "documents": list(texts),
            "request_options": self._options,
        }

    @undisturbed()
    def _blocking_client(self) -> Any:
        own = self._connections.get()
        with own.lock:
            if own.blocking is None:
                own.blocking = importlib.import_module("cohere").ClientV2(
                    **self._settings, httpx_client=httpx.Client(**self._transport())
                )
            return own.blocking

    async def _async_client(self) -> Any:
        """The client of the running loop: its connections cannot be used on another one.

        It is made in a thread, since the SDK's import and the reading of the certificates take long.
        """
        loop = asyncio.get_running_loop()
        client = self._connections.get().by_loop.get(loop)
        return client if client is not None else await asyncio.to_thread(self._async_client_of, loop)

    @undisturbed()
    def _async_client_of(self, loop: asyncio.AbstractEventLoop) -> Any:
        own = self._connections.get()
        with own.lock:
            if loop not in own.by_loop:
                own.by_loop[loop] = importlib.import_module("cohere").AsyncClientV2(
                    **self._settings, httpx_client=httpx.AsyncClient(**self._transport())
                )
            return own.by_loop[loop]

    def _transport(self) -> dict[str, Any]:
        return {
            "timeout": self._timeout,
            "trust_env": trusts_environment(self._settings["base_url"]),
            "verify": httpx.create_ssl_context(),
        }

    def _in_order(self, response: Any, count: int) -> list[float]:
        by_index = {item.index: float(item.relevance_score) for item in response.results}
        if len(response.results) != count or by_index.keys() != set(range(count)):
            raise ProviderError(
                f"reranker {self.model!r}: the service answered {count} texts with {len(response.results)} scores"
            )
        # The service rounds, now and then to a little beyond 1.
        return [min(max(by_index[index], 0.0), 1.0) for index in range(count)]

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn the SDK's exceptions into ours."""
        api_error: type[Exception] = importlib.import_module("cohere.core.api_error").ApiError
        try:
            yield
        except httpx.TimeoutException as error:
            raise self._unavailable(f"no answer within {self._timeout:g} s") from error
        except httpx.HTTPError as error:
            raise self._unavailable("the service cannot be reached") from error
        except api_error as error:
            raise self._refusal(error) from error
        except (ValueError, TypeError, AttributeError) as error:
            raise ProviderError(f"reranker {self.model!r}: the service's answer makes no sense") from error

    def _refusal(self, error: Any) -> OMPError:
        status = error.status_code
        if status in (401, 403):
            return UnauthorizedError(
                f"reranker {self.model!r}: the service refused the key ({status}); check CO_API_KEY"
            )
        if status == 429:
            return RateLimitedError(f"reranker {self.model!r}: the service asks to slow down")
        if status is None or status >= 500 or status in (408, 409):
            return self._unavailable(f"the service failed with status {status}")
        reason = str(error.body).replace(self._key, "***")
        return ProviderError(f"reranker {self.model!r}: the service refused the request ({status}): {reason}")

    def _unavailable(self, what: str) -> ProviderError:
        return ProviderError(f"reranker {self.model!r}: {what}", code="provider_unavailable")


def _transport_of(client: Any) -> Any:
    """The connections of one of the SDK's clients, which it does not close itself without a block."""
    return None if client is None else client._client_wrapper.httpx_client.httpx_client


def _check_key(key: str) -> str:
    key = key.strip()
    if not key:
        raise InvalidRequestError(
            "reranker: Cohere needs a key: set the environment variable CO_API_KEY, or pass "
            "reranker=CohereReranker(api_key=...) from openmem.rerankers.cohere"
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise InvalidRequestError("reranker: CO_API_KEY has characters that no key has")
    return key
