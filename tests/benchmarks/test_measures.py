"""What the benchmarks count."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest

from benchmarks.datasets import Question
from benchmarks.measures import CHUNK, Peers, concurrently, judged, latency, turns
from benchmarks.peers import Target


class Fake:
    """A system that remembers who called."""

    targets: Sequence[Target] = ()

    def __init__(self, *, blocking: bool) -> None:
        self.blocking = blocking
        self.asked: list[str] = []

    async def add(self, content: str, user: str, valid_from: str | None = None) -> str:
        return content

    async def search(self, query: str, user: str, limit: int = 10) -> list[str]:
        self.asked.append(query)
        return [query] * limit


def test_recall_and_reciprocal_rank() -> None:
    found = judged(
        [
            (Question("u", "second of two", frozenset({"a", "b"})), ["x", "a"]),
            (Question("u", "sixth", frozenset({"a"})), ["1", "2", "3", "4", "5", "a"]),
            (Question("u", "not found", frozenset({"a"})), ["x"]),
        ]
    )
    assert found.recall == {5: pytest.approx(0.5 / 3, rel=1e-3), 10: 0.5, 20: 0.5}
    assert found.mrr == pytest.approx((1 / 2 + 1 / 6) / 3, rel=1e-3)
    assert found.results == 3
    assert found.questions == 3


def test_a_memory_that_is_found_twice_counts_once() -> None:
    assert judged([(Question("u", "q", frozenset({"a", "b"})), ["a", "a"])]).recall[5] == 0.5


def test_percentiles_are_milliseconds() -> None:
    found = latency([0.001 * number for number in range(1, 102)], [10, 0])
    assert (found.p50, found.p99, found.calls, found.results) == (51, 100, 101, 5)


def test_everybody_gets_every_item_and_begins_in_turn() -> None:
    peers: Peers = {"a": Fake(blocking=False), "b": Fake(blocking=False)}
    items = list(range(2 * CHUNK + 1))
    order = [(name, list(chunk)) for name, _, chunk in turns(peers, items)]
    assert [name for name, _ in order] == ["a", "b", "b", "a", "a", "b"]
    for name in peers:
        assert [item for who, chunk in order if who == name for item in chunk] == items


@pytest.mark.parametrize("blocking", [False, True])
def test_concurrent_calls_are_made_once_each(blocking: bool) -> None:
    peer = Fake(blocking=blocking)
    asyncio.run(concurrently(peer, peer.search, [(str(number), "u") for number in range(100)], 8))
    assert Counter(peer.asked) == Counter(map(str, range(100)))


def test_an_error_is_not_lost() -> None:
    async def fail(query: str, user: str) -> None:
        raise ValueError(query)

    for blocking in (False, True):
        with pytest.raises((ValueError, ExceptionGroup)) as raised:
            asyncio.run(concurrently(Fake(blocking=blocking), fail, [("boom", "u")], 2))
        error = raised.value
        assert "boom" in str(error.exceptions[0] if isinstance(error, ExceptionGroup) else error)
