"""How similar a model finds texts that have nothing to do with each other, and what that makes of a similarity.

Models differ: the cosine of unrelated texts is about 0 for one and about .8 for the next, and of many it depends on
the language of the texts. So a model embeds notes on everyday things once, a few of each language. The mean vector of
those of one language is a *baseline*: its inner product with the vector of a query is the mean cosine of the query and
these notes. The greatest of these means is how similar the model finds the query and unrelated texts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from operator import mul

from .constants import MIN_REACH, REACH_FACTOR

Vector = Sequence[float]


def baselines(groups: Sequence[Sequence[Vector]]) -> list[list[float]]:
    """One baseline per group of vectors; none if the model does not tell the groups apart.

    Args:
        groups: the vectors of the notes, those of one language in one group.
    """
    means = []
    for group in groups:
        units = [[value / length for value in vector] for vector in group if (length := math.hypot(*vector))]
        if not units:
            return []
        means.append([sum(values) / len(units) for values in zip(*units, strict=True)])
    if all(_cosine(one, other) > 1 - MIN_REACH for one, other in combinations(means, 2)):
        return []
    return means


def reach(query: Vector, baselines: Sequence[Vector]) -> float:
    """The distance from the vector of a query, 1 less the cosine, at which the similarity of a memory is 0.

    Args:
        baselines: those of the model; none if they are not known.
    """
    length = math.hypot(*query)
    if not baselines or not length:
        return 1.0
    unrelated: float = max(sum(map(mul, query, baseline)) for baseline in baselines) / length
    return min(1.0, max(MIN_REACH, REACH_FACTOR * (1 - unrelated)))


def _cosine(one: Vector, other: Vector) -> float:
    lengths = math.hypot(*one) * math.hypot(*other)
    return sum(map(mul, one, other)) / lengths if lengths else 1.0
