"""What is learned of an embedder: from which cosine on its texts have something to do with each other."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Sequence

import pytest

from openmem.embedders.hashing import HashingEmbedder
from openmem.ranking.calibration import baselines, reach
from openmem.ranking.constants import MIN_REACH, REACH_FACTOR

DIM = 48


def cone(cosine: float) -> Callable[[str], list[float]]:
    """An embedder whose vectors of any two texts have about this cosine."""

    def embed(text: str) -> list[float]:
        chance = random.Random(hashlib.sha256(text.encode()).hexdigest())
        own = [chance.gauss(0, 1) for _ in range(DIM)]
        length = math.hypot(*own)
        return [math.sqrt(cosine), *(math.sqrt(1 - cosine) * value / length for value in own)]

    return embed


def groups(embed: Callable[[str], Sequence[float]]) -> list[list[Sequence[float]]]:
    return [[embed(f"note {group} {number}") for number in range(2)] for group in range(8)]


@pytest.mark.parametrize("cosine", [0.0, 0.1, 0.3, 0.5, 0.8, 0.95])
def test_unrelated_texts_are_hardly_similar_whatever_their_cosine(cosine: float) -> None:
    embed = cone(cosine)
    learned = baselines(groups(embed))
    similarities = []
    for number in range(50):
        query, memory = embed(f"query {number}"), embed(f"memory {number}")
        distance = 1 - sum(one * other for one, other in zip(query, memory, strict=True))
        similarities.append(1 - min(1.0, distance / reach(query, learned)))
    assert sum(similarities) / len(similarities) < 0.2
    same = embed("query 1")
    assert 1 - reach(same, learned) < 1


def test_a_model_with_unrelated_vectors_is_taken_as_it_is() -> None:
    learned = baselines([[[1.0, 0.0, 0.0, 0.0]], [[0.0, 1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0, 0.0]]])
    assert reach([0.0, 0.0, 0.0, 2.0], learned) == 1.0


def test_the_nearest_group_counts() -> None:
    learned = baselines([[[3.0, 4.0]], [[1.0, 0.0]], [[0.0, 2.0]]])
    assert reach([0.0, 5.0], learned) == MIN_REACH
    assert reach([-3.0, 4.0], learned) == pytest.approx(REACH_FACTOR * (1 - 0.8))


@pytest.mark.parametrize(
    "embed",
    [lambda text: [0.0] * DIM, lambda text: [1.0] + [0.0] * DIM, lambda text: [-2.0] * DIM],
    ids=["zeros", "one vector", "another"],
)
def test_of_a_model_that_finds_all_texts_alike_nothing_is_learned(embed: Callable[[str], list[float]]) -> None:
    assert baselines(groups(embed)) == []


def test_without_baselines_a_cosine_is_a_similarity() -> None:
    assert reach([1.0, 0.0], []) == 1.0
    assert reach([0.0, 0.0], [[1.0, 0.0]]) == 1.0


def test_the_hashing_embedder_is_hardly_changed() -> None:
    embedder = HashingEmbedder()
    learned = baselines(groups(lambda text: embedder.embed([f"{text} of something"])[0]))
    assert reach(embedder.embed(["quarterly report"])[0], learned) > 0.8
