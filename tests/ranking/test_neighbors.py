"""Which neighbors of a seed are boosted, by how far they are from the query."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from openmem.analysis import QueryWord
from openmem.ranking.constants import DISTANT_SIMILARITY, NEIGHBOR_REACH_FACTOR, VECTOR_WEIGHT
from openmem.ranking.reference import Candidate, rank
from openmem.ranking.scale import scaled

REACH = 0.5
NOON = datetime(2023, 1, 2, 12, tzinfo=UTC)


def score_of_neighbor(distance: float) -> float:
    """The score of a memory without words at this distance from a query, next to one that has all words."""
    cosine = 1 - distance
    memories = [
        Candidate("1", 1, NOON, True, frozenset({"tea"}), frozenset(), False, (1.0, 0.0)),
        Candidate("2", 2, NOON, True, frozenset(), frozenset(), False, (cosine, math.sqrt(1 - cosine**2))),
    ]
    return dict(rank(memories, [QueryWord(("tea",))], (1.0, 0.0), limit=2, reach=REACH))["2"]


def alone(distance: float) -> float:
    return scaled(VECTOR_WEIGHT * DISTANT_SIMILARITY * (1 - distance / 2))


def test_a_neighbor_a_little_beyond_the_reach_is_boosted() -> None:
    assert score_of_neighbor(1.1 * REACH) > 0.5


def test_a_neighbor_much_farther_away_is_not() -> None:
    distance = (NEIGHBOR_REACH_FACTOR + 0.01) * REACH
    assert score_of_neighbor(distance) == pytest.approx(alone(distance))
