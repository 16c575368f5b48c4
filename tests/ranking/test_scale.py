"""The scale of scores: it keeps the order, and its inverse never leaves out what reaches a bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmem import Memory
from openmem.ranking.scale import scaled, unscaled

scores = st.floats(0, 1)


def test_the_ends_stay() -> None:
    assert scaled(0.0) == 0.0
    assert scaled(1.0) == 1.0
    assert unscaled(0.0) == 0.0


@given(one=scores, other=scores)
def test_the_order_is_kept(one: float, other: float) -> None:
    low, high = sorted([one, other])
    assert 0.0 <= scaled(low) <= scaled(high) <= 1.0
    if high - low > 1e-12:
        assert scaled(low) < scaled(high)


@given(score=st.floats(1e-100, 1))
def test_the_inverse_is_just_below(score: float) -> None:
    assert unscaled(scaled(score)) <= score
    assert unscaled(scaled(score)) == pytest.approx(score, rel=1e-6)


def test_a_score_as_a_bound_keeps_its_memory() -> None:
    with Memory("memory", embedder="hashing") as memory:
        for text in ("green tea in the morning", "a cello lesson", "tea with Tom", "the garden in May"):
            memory.add(content=text, user_id="u")
        for hit in memory.search("tea in the garden", user_id="u"):
            found = memory.search("tea in the garden", user_id="u", min_score=hit.score)
            assert hit.memory.id in [other.memory.id for other in found]
            assert all(other.score >= hit.score for other in found)
