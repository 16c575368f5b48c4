"""`search` and `context` with a reranker on PostgreSQL, in both modes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from openmem import AsyncMemory, Memory, ProviderError

from .service import Service

FACTS = [f"tea number {number}" for number in range(60)] + ["coffee", "tea and more tea"]


class Longest:
    """A reranker that prefers long texts, and tells what it was asked."""

    model = "longest"

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str]]] = []
        self.threads: set[int] = set()

    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        self.asked.append((query, list(texts)))
        self.threads.add(threading.get_ident())
        return [min(1.0, len(text) / 20) for text in texts]


class Failing(Longest):
    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        raise ConnectionError("gone")


@pytest.fixture
def store(database: str) -> str:
    with Memory(url=database, embedder="hashing") as memory:
        for fact in FACTS:
            memory.add(content=fact, user_id="maya", scope="drinks/warm")
    return database


def test_search_is_ordered_anew(store: str) -> None:
    reranker = Longest()
    with Memory(url=store, embedder="hashing", reranker=reranker) as memory:
        results = memory.search("tea", "maya", limit=3)
    [(query, texts)] = reranker.asked
    assert query == "tea"
    assert len(texts) == 50
    assert results[0].memory.content == "tea and more tea"
    assert results[0].score == 0.8
    assert [result.score for result in results] == sorted((len(text) / 20 for text in texts), reverse=True)[:3]


def test_an_explanation_is_of_the_score_before(store: str) -> None:
    with Memory(url=store, embedder="hashing") as memory:
        before = {result.memory.id: result.score for result in memory.search("tea", "maya", limit=100)}
    with Memory(url=store, embedder="hashing", reranker=Longest()) as memory:
        [result] = memory.search("tea", "maya", limit=1, explain=True)
    assert result.score == 0.8
    assert result.explanation is not None
    assert result.explanation.score == pytest.approx(before[result.memory.id], abs=1e-6)


def test_equal_scores_keep_the_order_of_the_search(store: str) -> None:
    with Memory(url=store, embedder="hashing") as memory:
        plain = [result.memory.content for result in memory.search("tea number", "maya", limit=50)]
    with Memory(url=store, embedder="hashing", reranker=Longest()) as memory:
        ranked = [result.memory.content for result in memory.search("tea number", "maya", limit=50)]
    assert ranked == sorted(plain, key=lambda content: -len(content))


def test_more_results_than_candidates_can_be_asked_for(store: str) -> None:
    reranker = Longest()
    with Memory(url=store, embedder="hashing", reranker=reranker) as memory:
        assert len(memory.search("tea coffee", "maya", limit=100)) == len(FACTS)
    assert len(reranker.asked[0][1]) == len(FACTS)


def test_min_score_is_about_the_rerankers_scores(store: str) -> None:
    with Memory(url=store, embedder="hashing", reranker=Longest()) as memory:
        results = memory.search("tea", "maya", limit=100, min_score=0.75)
        assert [result.memory.content for result in results] == ["tea and more tea"]
        assert memory.search("tea", "maya", min_score=0.9) == []


def test_nothing_is_asked_where_nothing_was_found(store: str) -> None:
    reranker = Longest()
    with Memory(url=store, embedder="hashing", reranker=reranker) as memory:
        assert memory.search("tea", "nobody") == []
        assert memory.context("tea", "nobody").text == ""
    assert reranker.asked == []


def test_context_is_ordered_anew(store: str) -> None:
    with Memory(url=store, embedder="hashing", reranker=Longest()) as memory:
        block = memory.context("tea", "maya", scope="drinks", token_budget=100)
        actions = [entry.action for entry in memory.audit("maya", limit=1)]
    assert block.text.startswith("- tea and more tea [mem_")
    scores = [citation.score for citation in block.citations]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == 0.8
    assert actions == ["context"]


def test_the_event_loop_is_left_alone(store: str) -> None:
    reranker = Longest()

    async def run() -> str:
        async with AsyncMemory(url=store, embedder="hashing", reranker=reranker) as memory:
            block = await memory.context("tea", "maya", token_budget=100)
            assert (await memory.search("tea", "maya"))[0].memory.id == block.citations[0].memory_id
            return block.text

    assert asyncio.run(run()).startswith("- tea and more tea [mem_")
    assert len(reranker.asked) == 2
    assert threading.get_ident() not in reranker.threads


def test_its_failure_is_not_passed_over(store: str) -> None:
    async def run() -> None:
        async with AsyncMemory(url=store, embedder="hashing", reranker=Failing()) as memory:
            await memory.search("tea", "maya")

    with Memory(url=store, embedder="hashing", reranker=Failing()) as memory:
        for verb in (memory.search, memory.context):
            with pytest.raises(ProviderError, match="reranker 'longest' failed") as caught:
                verb("tea", "maya")
            assert isinstance(caught.value.__cause__, ConnectionError)
            assert caught.value.request_id is not None
    with pytest.raises(ProviderError, match="reranker 'longest' failed"):
        asyncio.run(run())


def test_a_cancelled_search_leaves_the_client_usable(store: str, service: Service) -> None:
    service.script.append(service.hang)

    async def run() -> str:
        async with AsyncMemory(url=store, embedder="hashing", reranker="cohere") as memory:
            task = asyncio.create_task(memory.search("tea", "maya"))
            assert await asyncio.to_thread(service.stuck.acquire, timeout=30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return (await memory.search("coffee", "maya"))[0].memory.content

    assert asyncio.run(run()) == "coffee"
    service.release.set()


def test_a_named_reranker_is_closed_with_the_client(store: str, service: Service) -> None:
    with Memory(url=store, embedder="hashing", reranker="cohere:rerank-v3.5") as memory:
        assert memory.search("coffee", "maya")[0].memory.content == "coffee"
        assert memory.search("and more tea", "maya")[0].memory.content == "tea and more tea"
    assert service.connections == 1
    assert len(service.requests) == 2
