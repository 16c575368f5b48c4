"""`search` and `context` with a reranker: one text for all providers."""

from __future__ import annotations

from typing import Final

from .context import build_context
from .models import ContextBlock, SearchResults
from .operations import Context, Search
from .ports.models import RerankerIO
from .providers.base import CONTEXT_CANDIDATES, Call, Provider

SEARCH_CANDIDATES: Final = 50


async def search(provider: Provider, reranker: RerankerIO, op: Search, call: Call) -> SearchResults:
    """The best of what the provider finds, in the reranker's order and with its scores."""
    candidates = max(op.limit, provider.most_results(SEARCH_CANDIDATES))
    found = await provider.search(op.model_copy(update={"limit": candidates, "min_score": None}), call)
    ranked = await _reranked(found, reranker, op.query)
    return [result for result in ranked if result.score >= (op.min_score or 0.0)][: op.limit]


async def context(provider: Provider, reranker: RerankerIO, op: Context, call: Call) -> ContextBlock:
    """The same as cited text within the budget."""
    search = op.as_search(provider.most_results(CONTEXT_CANDIDATES))
    ranked = await _reranked(await provider.search(search, call), reranker, op.query)
    return await provider.ports.run_cpu(build_context, ranked, op.query, op.token_budget, provider.config.token_counter)


async def _reranked(results: SearchResults, reranker: RerankerIO, query: str) -> SearchResults:
    """In a new order; equal scores keep theirs."""
    if not results:
        return results
    scores = await reranker.rerank(query, [result.memory.content for result in results])
    pairs = sorted(zip(scores, results, strict=True), key=lambda pair: -pair[0])
    return [result.model_copy(update={"score": score}) for score, result in pairs]
