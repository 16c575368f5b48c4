"""Embedders as `Memory` and `AsyncMemory` use them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from openmem import AsyncMemory, Memory, ProviderError
from openmem.drivers.asyncio import AsyncPorts
from openmem.drivers.blocking import BlockingPorts
from openmem.embedders import embedder_for, resolve_embedder, wordllama
from openmem.embedders.hashing import HashingEmbedder
from openmem.ports import Ports, run_blocking
from openmem.ports.models import EmbedderIO, Vectors

Use = Callable[[EmbedderIO], Awaitable[Any]]


def in_threads(spec: Any, use: Use) -> Any:
    async def run() -> Any:
        ports: Ports = AsyncPorts()
        try:
            return await use(embedder_for(spec, ports))
        finally:
            await ports.close()

    return asyncio.run(run())


def directly(spec: Any, use: Use) -> Any:
    async def run() -> Any:
        return await use(embedder_for(spec, BlockingPorts()))

    return run_blocking(run())


both = pytest.mark.parametrize("run", [directly, in_threads])


class Plain:
    """The least an embedder is."""

    model = "plain"
    dim = 2

    def embed(self, texts: Sequence[str]) -> Vectors:
        return [(1, len(text)) for text in texts]


class Recording(Plain):
    """An embedder that notes what is done with it."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bool]] = []

    def note(self, name: str) -> None:
        self.calls.append((name, threading.current_thread() is threading.main_thread()))

    def warm_up(self) -> None:
        self.note("warm_up")

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.note("embed")
        return super().embed(texts)

    def close(self) -> None:
        self.note("close")


class Native(Recording):
    """An embedder with coroutines of its own."""

    async def aembed(self, texts: Sequence[str]) -> Vectors:
        self.note("aembed")
        return Plain.embed(self, texts)

    async def aclose(self) -> None:
        self.note("aclose")


async def embed(io: EmbedderIO) -> Vectors:
    return await io.embed(["a", "bc"])


async def live(io: EmbedderIO) -> None:
    await io.load()
    await io.embed(["a"])
    await io.close()


@both
def test_three_members_are_enough(run: Callable[[Any, Use], Any]) -> None:
    assert run(Plain(), live) is None
    assert run(Plain(), embed) == [[1.0, 1.0], [1.0, 2.0]]


@both
def test_a_failure_is_a_provider_error(run: Callable[[Any, Use], Any]) -> None:
    class Broken(Plain):
        def embed(self, texts: Sequence[str]) -> Vectors:
            raise StopIteration("a trap for coroutines")

    with pytest.raises(ProviderError, match="'plain' failed with StopIteration") as caught:
        run(Broken(), embed)
    assert isinstance(caught.value.__cause__, StopIteration)


def test_a_failing_coroutine_is_a_provider_error() -> None:
    class Broken(Plain):
        async def aembed(self, texts: Sequence[str]) -> Vectors:
            raise ValueError("no")

    with pytest.raises(ProviderError, match="'plain' failed with ValueError"):
        in_threads(Broken(), embed)


@both
def test_an_object_of_the_user_is_never_closed(run: Callable[[Any, Use], Any]) -> None:
    own = Native()
    run(own, live)
    assert "close" not in dict(own.calls)
    assert "aclose" not in dict(own.calls)


@both
def test_an_embedder_made_from_a_name_is_closed(
    run: Callable[[Any, Use], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Recording()
    monkeypatch.setattr("openmem.embedders.hashing.create", lambda model: made)
    run("hashing", live)
    assert made.calls[-1][0] == "close"


def test_what_may_block_runs_in_a_thread() -> None:
    own = Recording()
    in_threads(own, live)
    assert own.calls == [("warm_up", False), ("embed", False)]


def test_short_texts_are_embedded_in_place_by_an_embedder_that_is_quicker_than_a_thread() -> None:
    class Quick(Recording):
        quick_characters = 3

    own = Quick()

    async def use(io: EmbedderIO) -> None:
        await io.embed(["abc"])
        await io.embed(["ab", "cd"])

    in_threads(own, use)
    assert own.calls == [("embed", True), ("embed", False)]


def test_a_model_that_is_not_loaded_is_not_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wordllama, "_loaded", [])
    embedder = wordllama.WordLlamaEmbedder()
    assert embedder.quick_characters == 0
    embedder.warm_up()
    assert embedder.quick_characters > 0


def test_a_coroutine_function_is_preferred_and_runs_on_the_loop() -> None:
    own = Native()
    in_threads(own, live)
    assert own.calls == [("warm_up", False), ("aembed", True)]


def test_without_a_loop_coroutine_functions_are_left_alone() -> None:
    own = Native()
    directly(own, live)
    assert own.calls == [("embed", True)]


def test_the_loop_runs_on_while_texts_are_embedded() -> None:
    entered, barrier = threading.Event(), threading.Barrier(2)

    class Waiting(Plain):
        def embed(self, texts: Sequence[str]) -> Vectors:
            entered.set()
            barrier.wait(10)
            return super().embed(texts)

    async def meet() -> None:
        """Go on the loop to where the embedder waits, which takes a loop that is free."""
        await asyncio.to_thread(entered.wait, 10)
        barrier.wait(10)

    async def use(io: EmbedderIO) -> Vectors:
        vectors, _ = await asyncio.gather(io.embed(["a"]), meet())
        return vectors

    assert in_threads(Waiting(), use) == [[1.0, 1.0]]


def test_cancellation_passes_unchanged() -> None:
    entered, leave = threading.Event(), threading.Event()

    class Slow(Plain):
        def embed(self, texts: Sequence[str]) -> Vectors:
            entered.set()
            leave.wait(10)
            return super().embed(texts)

    async def use(io: EmbedderIO) -> None:
        task = asyncio.ensure_future(io.embed(["a"]))
        await asyncio.to_thread(entered.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    try:
        in_threads(Slow(), use)
    finally:
        leave.set()


def test_opening_loads_the_model_once_for_all_verbs(url: str) -> None:
    own = Recording()

    async def run() -> None:
        async with AsyncMemory(url=url, embedder=own) as memory:
            assert own.calls == [("warm_up", False)]
            await memory.add(content="tea", user_id="warm")
            await memory.search("tea", user_id="warm")

    asyncio.run(run())
    # The third embeds the notes that calibrate it.
    assert [name for name, _ in own.calls] == ["warm_up", "embed", "embed", "embed"]


def test_a_wrong_vector_writes_nothing(url: str) -> None:
    class Longer(Plain):
        def embed(self, texts: Sequence[str]) -> Vectors:
            return [[1.0, 2.0, 3.0] for _ in texts]

    with Memory(url=url, embedder=Longer()) as memory:
        with pytest.raises(ProviderError, match="a vector of 3 numbers, while its dim is 2") as caught:
            memory.add(content="tea", user_id="wrong")
        assert caught.value.request_id
        assert memory.list("wrong").items == []


@pytest.mark.parametrize("vector", [[0.0, 0.0], [1e4, -1e4], [1e-30, 1e-30]])
def test_vectors_of_any_length_can_be_stored_and_searched(url: str, vector: list[float]) -> None:
    class Odd(Plain):
        def embed(self, texts: Sequence[str]) -> Vectors:
            return [vector for _ in texts]

    with Memory(url=url, embedder=Odd()) as memory:
        user = f"odd {vector}"
        record = memory.add(content="green tea", user_id=user)
        [hit] = memory.search("green tea", user_id=user)
        assert hit.memory.id == record.id
        assert 0.0 <= hit.score <= 1.0


@pytest.mark.parametrize("spec", ["wordllama", "hashing", "hashing:2048", "hashing:16000"])
def test_the_built_in_embedders_find_what_they_stored(url: str, spec: str) -> None:
    with Memory(url=url, embedder=spec) as memory:
        user = f"user of {spec}"
        record = memory.add(content="user prefers dark mode", user_id=user)
        memory.add(content="the train leaves at nine", user_id=user)
        assert record.embedding_model == resolve_embedder(spec).model
        assert memory.search("dark modes preferred", user_id=user)[0].memory.id == record.id


def test_models_live_side_by_side_until_reembed_moves_them(url: str) -> None:
    user = "mover"
    with Memory(url=url, embedder="hashing:64") as memory:
        old = memory.add(content="user prefers dark mode", user_id=user)
    with Memory(url=url, embedder=HashingEmbedder(128)) as memory:
        memory.add(content="the train leaves at nine", user_id=user)
        assert memory.search("dark mode", user_id=user)[0].memory.id == old.id
        assert memory.reembed() >= 1
        assert memory.get(old.id).embedding_model == "hashing:128"
