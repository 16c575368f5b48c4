"""Cohere's reranking models, and those of servers that have the same ``POST /v2/rerank``."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from typing import Any, Final

from ..drivers.remote import Post, RemoteModel, check_key, is_good
from ..errors import InvalidRequestError

DEFAULT_MODEL: Final = "rerank-v3.5"
DEFAULT_URL: Final = "https://api.cohere.com"
TIMEOUT_SECONDS: Final = 30.0
MAX_RETRIES: Final = 2
MAX_REQUEST_TEXTS: Final = 1_000
"""Texts in a request; the service advises against more."""


def create(model: str | None) -> CohereReranker:
    """The reranker for ``"cohere"`` or ``"cohere:<model>"``."""
    return CohereReranker(DEFAULT_MODEL if model is None else model)


class CohereReranker:
    """Scores from Cohere, or from the server that ``CO_API_URL`` names. Thread-safe.

    Nothing is imported or connected before `warm_up` or the first query. Of a long text the service
    reads the first 4,096 tokens. More than 1,000 texts go in several requests, one after another: a score
    does not depend on the other texts.

    Args:
        model: the service's name of the model.
        api_key: by default from the environment variable ``CO_API_KEY``.
        base_url: by default from ``CO_API_URL``, else Cohere's.
        timeout: seconds a request may take.
        max_retries: how often a request is tried again after a failure that may pass, after as long as the
            service asks for, or longer from try to try.

    Raises:
        InvalidRequestError: there is no key, or no model, or a setting is out of its range.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        max_retries: int = MAX_RETRIES,
    ) -> None:
        if not isinstance(model, str) or not model.strip():
            raise InvalidRequestError("reranker: 'cohere:' needs the name of a model after the colon")
        self.model = f"cohere:{model}"
        self._model = model
        key = check_key(
            "reranker",
            os.environ.get("CO_API_KEY", "") if api_key is None else api_key,
            "CO_API_KEY",
            "Cohere needs a key: set the environment variable CO_API_KEY, or pass "
            "reranker=CohereReranker(api_key=...) from openmem.rerankers.cohere",
        )
        self._remote = RemoteModel(
            f"reranker {self.model!r}",
            url=(os.environ.get("CO_API_URL") or DEFAULT_URL) if base_url is None else base_url,
            url_setting="CO_API_URL" if base_url is None else "base_url",
            path="/v2/rerank",
            key=key,
            key_setting="CO_API_KEY",
            headers={},
            timeout=timeout,
            max_retries=max_retries,
        )

    def __repr__(self) -> str:
        return f"CohereReranker({self.model!r})"

    def warm_up(self) -> None:
        """Import what requests need, which takes a tenth of a second."""
        self._remote.load()

    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """The relevance of each text, from 0 to 1.

        Raises:
            UnauthorizedError: the service refused the key.
            RateLimitedError: the service asks to slow down.
            ProviderError: the service failed (``provider_unavailable`` if that may pass) or its
                answer makes no sense.
        """
        return self._remote.call(lambda post: self._scores(query, texts, post))

    async def arerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """Like `rerank`, without blocking the event loop."""
        return await self._remote.acall(lambda post: self._scores(query, texts, post))

    def close(self) -> None:
        """Close the connections of `rerank`. Idempotent; a later query opens new ones."""
        self._remote.close()

    async def aclose(self) -> None:
        """Close the connections of `rerank`, and those of `arerank` on this event loop. Idempotent."""
        await self._remote.aclose()

    async def _scores(self, query: str, texts: Sequence[str], post: Post) -> list[float]:
        scores: list[float] = []
        for start in range(0, len(texts), MAX_REQUEST_TEXTS):
            documents = list(texts[start : start + MAX_REQUEST_TEXTS])
            reply = await post({"model": self._model, "query": query, "documents": documents})
            if not is_good(reply):
                raise self._remote.failure(reply, (query, *documents))
            scores += self._in_order(reply.content, len(documents))
        return scores

    def _in_order(self, content: bytes, count: int) -> list[float]:
        try:
            results: Any = json.loads(content)["results"]
            by_index = {item["index"]: float(item["relevance_score"]) for item in results}
        except (ValueError, TypeError, LookupError, OverflowError, RecursionError) as error:
            raise self._remote.nonsense() from error
        if len(results) != count or by_index.keys() != set(range(count)):
            raise self._remote.nonsense(f"has {len(results)} scores for {count} texts")
        if any(map(math.isnan, by_index.values())):
            raise self._remote.nonsense("has a score that is no number")
        # The service rounds, now and then to a little beyond 1.
        return [min(max(by_index[index], 0.0), 1.0) for index in range(count)]
