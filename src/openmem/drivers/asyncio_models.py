"""Embedders and rerankers for `AsyncMemory`: called by their own coroutine functions, or else off the event loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, ParamSpec, Protocol, TypeVar

from .._model_calls import CheckedEmbedder, CheckedReranker
from ..ports.models import Embedder, Vectors
from .batching import EmbedBatcher
from .loop_budget import LoopBudget
from .sharing import Lease
from .tasks import task_group

P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M", bound=CheckedEmbedder | CheckedReranker)

THREAD_TEXTS = 32
"""Texts that are embedded together in a thread, at most."""
REQUEST_TEXTS = 64
"""Texts that go to a remote model together, at most."""
REQUESTS = 4
"""Calls of a remote model at a time, at most."""


class Threads(Protocol):
    """Where what blocks is called."""

    async def to_thread(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """The result of a blocking function."""
        ...


class _AsyncModel(Generic[M]):
    """What both have in common.

    Args:
        threads: where the model is called if it has no coroutine functions.
        owned: whether the model is closed with this.
    """

    def __init__(self, model: M, threads: Threads, *, owned: bool) -> None:
        self._model = model
        self._threads = threads
        self._owned = owned
        self._is_loaded = False

    async def load(self) -> None:
        if not self._is_loaded:
            await self._threads.to_thread(self._model.warm_up)
            self._is_loaded = True

    async def close(self) -> None:
        if self._owned and not await self._model.aclose() and self._model.close is not None:
            await self._threads.to_thread(self._model.close)


class AsyncEmbedder(_AsyncModel[CheckedEmbedder]):
    """An embedder called by its own coroutines, or else in a thread, or on the event loop where that takes less.

    Single texts are embedded together with those of other tasks. One by one, each would be a request to a remote
    service. With a local model, handing one text to a thread takes longer than embedding it, since the loop and
    the threads compete for the GIL. For the same reason short texts may be embedded on the loop; see `Embedder`.
    Where a model tells queries apart, those of other tasks come together in a thread, too; ``aembed_query`` takes one.

    Args:
        max_workers: how many threads there are.
        close: called after all.
    """

    def __init__(
        self,
        model: CheckedEmbedder,
        threads: Threads,
        max_workers: int,
        *,
        owned: bool,
        close: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(model, threads, owned=owned)
        self._close = close
        self._is_remote = model.has_coroutines
        if self._is_remote:
            self._single = EmbedBatcher(self._by_itself, most_texts=REQUEST_TEXTS, most_calls=REQUESTS)
        else:
            self._single = EmbedBatcher(self._in_thread, most_texts=THREAD_TEXTS, most_calls=max_workers)
        self._queries = EmbedBatcher(self._queries_in_thread, most_texts=THREAD_TEXTS, most_calls=max_workers)
        self._budget = LoopBudget()
        self.model = model.model.model

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if not self._is_remote and self._are_quick(texts):
            await self._budget.acquire()
            return self.embed_at_once(texts)
        if len(texts) == 1:
            return [await self._single.embed(texts[0])]
        if self._is_remote:
            return await self._in_requests(texts)
        return await self._in_thread(texts)

    async def embed_query(self, text: str) -> Sequence[float]:
        if not self._model.tells_queries:
            [vector] = await self.embed([text])
            return vector
        if hasattr(self._model.model, "aembed_query"):
            return await self._model.aembed_query(text)
        if not self._are_quick([text]):
            return await self._queries.embed(text)
        await self._budget.acquire()
        return self.embed_query_at_once(text)

    def is_quick(self, text: str) -> bool:
        """Whether a text is embedded on the loop, as a memory and as a query."""
        is_remote = self._is_remote or (self._model.tells_queries and hasattr(self._model.model, "aembed_query"))
        return not is_remote and self._are_quick([text])

    def embed_at_once(self, texts: Sequence[str]) -> Vectors:
        """The vectors of quick texts."""
        return self._model.embed(texts)

    def embed_query_at_once(self, text: str) -> Sequence[float]:
        """The vector to search with for a quick text."""
        [vector] = self._model.embed_queries([text])
        return vector

    def _are_quick(self, texts: Sequence[str]) -> bool:
        return sum(map(len, texts)) <= getattr(self._model.model, "quick_characters", 0)

    async def _by_itself(self, texts: Sequence[str]) -> Vectors:
        return await self._model.aembed(texts)

    async def _in_thread(self, texts: Sequence[str]) -> Vectors:
        return await self._threads.to_thread(self._model.embed, texts)

    async def _queries_in_thread(self, texts: Sequence[str]) -> Vectors:
        return await self._threads.to_thread(self._model.embed_queries, texts)

    async def _in_requests(self, texts: Sequence[str]) -> Vectors:
        """Some requests at a time, none so large that reading its answer would hold up the loop."""
        starts = iter(range(0, len(texts), REQUEST_TEXTS))
        answers: dict[int, Vectors] = {}

        async def one_after_another() -> None:
            for start in starts:
                answers[start] = await self._by_itself(texts[start : start + REQUEST_TEXTS])

        async with task_group() as group:
            for _ in range(REQUESTS):
                group.create_task(one_after_another())
        return [vector for start in sorted(answers) for vector in answers[start]]

    async def close(self) -> None:
        try:
            await super().close()
        finally:
            await self._close()


class AsyncReranker(_AsyncModel[CheckedReranker]):
    """A reranker called by its own `arerank`, or else in a thread."""

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        if self._model.has_coroutines:
            return await self._model.arerank(query, texts)
        return await self._threads.to_thread(self._model.rerank, query, texts)


class SharedEmbedder:
    """One client's use of an embedder, which it shares, threads included, with others that were given the same."""

    def __init__(self, embedder: Embedder, lease: Lease[AsyncEmbedder]) -> None:
        self.model = embedder.model
        self._lease = lease

    async def embed(self, texts: Sequence[str], *, has_turn: bool = False) -> Vectors:
        if has_turn:
            return (await self._lease.acquire()).embed_at_once(texts)
        return await self._lease.call(lambda embedder: embedder.embed(texts))

    async def embed_query(self, text: str, *, has_turn: bool = False) -> Sequence[float]:
        if has_turn:
            return (await self._lease.acquire()).embed_query_at_once(text)
        return await self._lease.call(lambda embedder: embedder.embed_query(text))

    def is_quick(self, text: str) -> bool:
        embedder = self._lease.value
        return embedder is not None and embedder.is_quick(text)

    async def load(self) -> None:
        await self._lease.call(lambda embedder: embedder.load())

    async def close(self) -> None:
        await self._lease.close()
