"""The verbs of a provider whose `search` and `context` are ordered by a reranker: the same for all providers."""

from __future__ import annotations

from typing import Any, Final

from .call import Call
from .context import build_context
from .models import ContextBlock, SearchResults
from .operations import Context, Search
from .ports.models import RerankerIO
from .providers.base import CONTEXT_CANDIDATES, Provider

SEARCH_CANDIDATES: Final = 50


class Reranked:
    """A provider's verbs, with its results in the reranker's order and with the reranker's scores."""

    def __init__(self, provider: Provider, reranker: RerankerIO) -> None:
        self._provider = provider
        self._reranker = reranker

    async def search(self, op: Search, call: Call) -> SearchResults:
        """The best of what the provider finds."""
        candidates = max(op.limit, self._provider.most_results(SEARCH_CANDIDATES))
        found = await self._provider.search(op.model_copy(update={"limit": candidates, "min_score": None}), call)
        ranked = await self._ranked(found, op.query)
        return [result for result in ranked if result.score >= (op.min_score or 0.0)][: op.limit]

    async def context(self, op: Context, call: Call) -> ContextBlock:
        """The same as cited text within the budget."""
        provider = self._provider
        found = await provider.search(op.as_search(provider.most_results(CONTEXT_CANDIDATES)), call)
        ranked = await self._ranked(found, op.query)
        count = provider.config.token_counter
        return await provider.ports.run_cpu(build_context, ranked, op.query, op.token_budget, count)

    async def _ranked(self, results: SearchResults, query: str) -> SearchResults:
        """In a new order; equal scores keep theirs."""
        if not results:
            return results
        scores = await self._reranker.rerank(query, [result.memory.content for result in results])
        pairs = sorted(zip(scores, results, strict=True), key=lambda pair: -pair[0])
        return [result.model_copy(update={"score": score}) for score, result in pairs]

    def __getattr__(self, verb: str) -> Any:
        """The provider's own method, for all other verbs."""
        return getattr(self._provider, verb)
