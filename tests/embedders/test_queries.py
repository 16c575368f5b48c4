"""Embedders that tell queries from documents, as `Memory` and `AsyncMemory` use them."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from openmem import AsyncMemory, InvalidRequestError, Memory, ProviderError
from openmem.embedders import resolve_embedder
from openmem.ports.models import EmbedderIO, Vectors
from openmem.providers.calibration import notes

from .test_clients import Use, directly, in_threads

both = pytest.mark.parametrize("run", [directly, in_threads])


class Asymmetric:
    """An embedder whose documents and queries meet only if each is embedded as what it is."""

    model = "asymmetric"
    dim = 2

    def __init__(self) -> None:
        self.queries: list[str] = []
        self.documents: list[str] = []
        self.threads: set[threading.Thread] = set()

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.documents += texts
        return [[1.0, 0.0] for _ in texts]

    def embed_query(self, text: str) -> Any:
        self.threads.add(threading.current_thread())
        self.queries.append(text)
        return [0.0, 1.0]


class Native(Asymmetric):
    async def aembed(self, texts: Sequence[str]) -> Vectors:
        return self.embed(texts)

    async def aembed_query(self, text: str) -> Any:
        return self.embed_query(text)


async def query(io: EmbedderIO) -> Sequence[float]:
    return await io.embed_query("tea")


@both
@pytest.mark.parametrize("kind", [Asymmetric, Native])
def test_a_query_is_embedded_as_one(run: Callable[[Any, Use], Any], kind: type[Asymmetric]) -> None:
    own = kind()
    assert run(own, query) == [0.0, 1.0]
    assert (own.queries, own.documents) == (["tea"], [])


@both
@pytest.mark.parametrize("symmetric", [False, True])
def test_where_they_are_the_same_a_query_is_a_text(run: Callable[[Any, Use], Any], symmetric: bool) -> None:
    class Symmetric:
        model, dim = "symmetric", 2

        def embed(self, texts: Sequence[str]) -> Vectors:
            return [[1.0, 0.0] for _ in texts]

    own: Any = Symmetric()
    if symmetric:
        own = Asymmetric()
        own.is_symmetric = True
    assert run(own, query) == [1.0, 0.0]


@pytest.mark.parametrize("quick", [0, 100])
def test_queries_of_many_tasks(quick: int) -> None:
    own: Any = Asymmetric()
    own.quick_characters = quick

    async def use(io: EmbedderIO) -> None:
        texts = [f"query {number}" for number in range(100)]
        assert await asyncio.gather(*map(io.embed_query, texts)) == [[0.0, 1.0]] * 100
        assert sorted(own.queries) == sorted(texts)

    in_threads(own, use)
    assert (threading.current_thread() in own.threads) == bool(quick)


@both
@pytest.mark.parametrize("kind", [Asymmetric, Native])
@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ([1.0], "a vector of 1 numbers, while its dim is 2"),
        ([[1.0, 2.0]], "a vector of 1 numbers"),
        ([1.0, math.nan], "NaN"),
        (None, "NoneType where a sequence was expected"),
        (["a", "b"], "not a number"),
        (RuntimeError("tea"), "failed with RuntimeError"),
        (TimeoutError(), "failed with TimeoutError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_a_wrong_answer_is_a_provider_error(
    run: Callable[[Any, Use], Any], kind: type[Asymmetric], answer: Any, problem: str
) -> None:
    class Broken(kind):  # type: ignore[misc,valid-type]  # a class that is a parameter
        def embed_query(self, text: str) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

    with pytest.raises(ProviderError, match=f"embedder 'asymmetric' .*{problem}") as caught:
        run(Broken(), query)
    assert "tea" not in caught.value.message
    assert (caught.value.code == "provider_unavailable") == isinstance(answer, TimeoutError)


def test_one_query_that_fails_leaves_the_others_alone() -> None:
    class Picky(Asymmetric):
        def embed_query(self, text: str) -> Any:
            if text == "poison":
                raise ValueError
            return super().embed_query(text)

    async def use(io: EmbedderIO) -> None:
        texts = [*map(str, range(20)), "poison", "last"]
        answers = await asyncio.gather(*map(io.embed_query, texts), return_exceptions=True)
        assert isinstance(answers.pop(20), ProviderError)
        assert answers == [[0.0, 1.0]] * 21

    in_threads(Picky(), use)


def test_a_cancelled_query_ends_at_once() -> None:
    started = threading.Semaphore(0)
    release = threading.Event()

    class Slow(Asymmetric):
        def embed_query(self, text: str) -> Any:
            started.release()
            assert release.wait(30)
            return super().embed_query(text)

    async def use(io: EmbedderIO) -> None:
        task = asyncio.create_task(query(io))
        assert await asyncio.to_thread(started.acquire, True, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 0.5)
        release.set()
        assert await query(io) == [0.0, 1.0]

    in_threads(Slow(), use)


@pytest.mark.parametrize("name", ["embed_query", "aembed_query"])
def test_a_function_that_is_none_is_refused(name: str) -> None:
    own: Any = Native()
    setattr(own, name, 5)
    with pytest.raises(InvalidRequestError, match=name):
        resolve_embedder(own)


def test_a_coroutine_function_stands_beside_a_plain_one() -> None:
    class OnlyCoroutine:
        model, dim = "wrong", 1

        def embed(self, texts: Sequence[str]) -> Vectors:
            return []

        async def aembed_query(self, text: str) -> Any:
            return []

    with pytest.raises(InvalidRequestError, match="embed_query of 'wrong' must be a plain function"):
        resolve_embedder(OnlyCoroutine())


@pytest.mark.parametrize("kind", [Asymmetric, Native])
@pytest.mark.parametrize("provider", ["postgres", "memory"])
def test_verbs_embed_queries_as_such(url: str, provider: str, kind: type[Asymmetric]) -> None:
    settings: dict[str, Any] = {"url": url, "schema": "told_apart"} if provider == "postgres" else {}
    own = kind()
    with Memory(provider, embedder=own, **settings) as memory:
        memory.add(content="green tea", user_id="maya")
        memory.search("a drink", "maya")
        memory.context("what to drink", "maya")
    calibrated_with = [note for group in notes() for note in group]
    assert (own.documents, own.queries) == (["green tea", *calibrated_with], ["a drink", "what to drink"])
    own.documents.clear()

    async def main() -> None:
        async with AsyncMemory(provider, embedder=own, **settings) as memory:
            await memory.add(content="black tea", user_id="maya")
            await memory.search("a cup", "maya")
            await memory.context("a mug", "maya")

    asyncio.run(main())
    # These vectors are all alike: nothing is learned of such a model, and every process tries once.
    assert (own.documents, own.queries[2:]) == (["black tea", *calibrated_with], ["a cup", "a mug"])
