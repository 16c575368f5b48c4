"""Newer memories count more if a caller says so, in both backends that rank by words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from openmem import Memory
from openmem.ranking.constants import EXACT_SCAN_LIMIT, RECENCY_SHARE
from openmem.ranking.scale import unscaled

NOW = datetime.now(UTC)
YEAR = timedelta(days=365)


@pytest.fixture(params=["postgres", "memory"])
def memory(request: pytest.FixtureRequest, url: str) -> Iterator[Memory]:
    settings: dict[str, Any] = {"postgres": {"url": url}, "memory": {"provider": "memory"}}[request.param]
    with Memory(**settings, embedder="hashing") as memory:
        yield memory


@pytest.fixture
def user() -> str:
    return uuid4().hex


def test_of_equal_memories_the_newer_comes_first(memory: Memory, user: str) -> None:
    ages = [YEAR, timedelta(days=1), 30 * YEAR, timedelta(days=40)]
    for age in ages:
        memory.add(content="Anna drinks green tea", user_id=user, valid_from=NOW - age)
    plain = memory.search("What does Anna drink?", user)
    assert len({hit.score for hit in plain}) == 1
    hits = memory.search("What does Anna drink?", user, recency=timedelta(days=30))
    assert [hit.memory.valid_from for hit in hits] == [NOW - age for age in sorted(ages)]
    shares = [unscaled(hit.score) / unscaled(plain[0].score) for hit in hits]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.99
    assert shares[-1] == pytest.approx(1 - RECENCY_SHARE)
    in_seconds = memory.search("What does Anna drink?", user, recency=30 * 86_400)
    assert [hit.memory.id for hit in in_seconds] == [hit.memory.id for hit in hits]


def test_an_old_answer_stays_before_what_is_only_new(memory: Memory, user: str) -> None:
    old = memory.add(content="Anna is allergic to walnuts", user_id=user, valid_from=NOW - 30 * YEAR)
    for number in range(20):
        memory.add(content=f"Anna went for walk {number}", user_id=user)
    [hit] = memory.search("What is Anna allergic to?", user, limit=1, recency=1)
    assert hit.memory.id == old.id


def test_context_and_min_score_follow_recency(memory: Memory, user: str) -> None:
    for age in (30 * YEAR, timedelta(0)):
        memory.add(content=f"green tea {age.days}", user_id=user, valid_from=NOW - age)
    hits = memory.search("green tea", user, recency=YEAR)
    assert [hit.memory.content for hit in hits] == ["green tea 0", "green tea 10950"]
    block = memory.context("green tea", user, recency=YEAR)
    assert [cited.memory_id for cited in block.citations] == [hit.memory.id for hit in hits]
    assert [cited.score for cited in block.citations] == pytest.approx([hit.score for hit in hits])
    between = (hits[0].score + hits[1].score) / 2
    assert len(memory.search("green tea", user, min_score=between, recency=YEAR)) == 1


def test_recency_counts_for_a_large_user(url: str, user: str) -> None:
    texts = [f"note {number}" for number in range(EXACT_SCAN_LIMIT + 200)]
    with Memory(url=url, embedder="hashing") as memory:
        memory.add_many([{"content": text, "user_id": user} for text in texts])
        ids = [
            memory.add(content="Anna drinks green tea", user_id=user, valid_from=NOW - age).id
            for age in (YEAR, timedelta(days=1), timedelta(days=40))
        ]
        hits = memory.search("Anna's green tea", user, limit=3, recency=timedelta(days=30))
        assert [hit.memory.id for hit in hits] == [ids[1], ids[2], ids[0]]
        assert len({round(hit.score, 3) for hit in hits}) == 3
