"""Rerankers by name and by object; what is wrong is refused, what fails is translated."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest

from openmem import InvalidRequestError, Memory, ProviderError
from openmem._model_calls import CheckedReranker
from openmem.rerankers import resolve_reranker


class Answering:
    """A reranker that gives, or raises, what it is told."""

    model = "answering"

    def __init__(self, answer: Any = ()) -> None:
        self.answer = answer

    def rerank(self, query: str, texts: Sequence[str]) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    async def arerank(self, query: str, texts: Sequence[str]) -> Any:
        return self.rerank(query, texts)

    def warm_up(self) -> None:
        self.rerank("", ())


def make(model: str | None) -> Answering:
    reranker = Answering()
    reranker.model = f"made:{model}"
    return reranker


class Coroutine:
    model = "m"

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        return []


class Nameless:
    model = " "

    def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        return []


def test_an_object_is_itself() -> None:
    reranker = Answering()
    assert resolve_reranker(reranker) is reranker


@pytest.mark.parametrize("spec", [5, object(), Answering, len])
def test_what_is_no_reranker(spec: Any) -> None:
    with pytest.raises(InvalidRequestError, match="not a reranker; choose from cohere, or pass an object with model"):
        resolve_reranker(spec)


@pytest.mark.parametrize(("reranker", "reason"), [(Coroutine(), "arerank"), (Nameless(), "model")])
def test_an_object_that_is_not_quite_one(reranker: Any, reason: str) -> None:
    with pytest.raises(InvalidRequestError, match=reason):
        resolve_reranker(reranker)


def test_an_unknown_name() -> None:
    with pytest.raises(InvalidRequestError, match="reranker: there is no reranker 'koher'; choose from cohere"):
        Memory(url="postgresql://localhost/x", reranker="koher:v3")


def test_an_installed_reranker_is_found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("made", f"{__name__}:make", "openmem.rerankers")
    monkeypatch.setattr("openmem._plugins.entry_points", lambda group: EntryPoints([point]).select(group=group))
    assert resolve_reranker("made:big").model == "made:big"
    assert resolve_reranker("made").model == "made:None"


WRONG: list[tuple[Any, str]] = [
    ([0.5], "1 scores for 2 texts"),
    ([0.5, 0.5, 0.5], "3 scores for 2 texts"),
    ([0.5, 1.5], r"1\.5, which is not between 0 and 1"),
    ([-0.1, 0.5], "not between 0 and 1"),
    ([float("nan"), 0.5], "not between 0 and 1"),
    (["a", "b"], "not a list of numbers"),
    (None, "not a list of numbers"),
]


@pytest.mark.parametrize(("answer", "reason"), WRONG)
def test_a_wrong_answer_is_refused(answer: Any, reason: str) -> None:
    with pytest.raises(ProviderError, match=reason):
        CheckedReranker(Answering(answer)).rerank("tea", ["a", "b"])
    with pytest.raises(ProviderError, match=reason):
        asyncio.run(CheckedReranker(Answering(answer)).arerank("tea", ["a", "b"]))


@pytest.mark.parametrize(
    ("error", "code"), [(OSError("s3cret"), "provider_error"), (TimeoutError(), "provider_unavailable")]
)
def test_its_own_exception_is_the_cause(error: Exception, code: str) -> None:
    for attempt in (
        lambda: CheckedReranker(Answering(error)).rerank("tea", ["a"]),
        lambda: asyncio.run(CheckedReranker(Answering(error)).arerank("tea", ["a"])),
        lambda: CheckedReranker(Answering(error)).warm_up(),
    ):
        with pytest.raises(ProviderError, match="reranker 'answering' failed with") as caught:
            attempt()
        assert caught.value.__cause__ is error
        assert caught.value.code == code
        assert "s3cret" not in str(caught.value)


def test_numbers_of_other_kinds_are_scores() -> None:
    numpy = pytest.importorskip("numpy")
    assert CheckedReranker(Answering(numpy.array([0.25, 1.0], dtype="float32"))).rerank("tea", ["a", "b"]) == [
        0.25,
        1.0,
    ]
