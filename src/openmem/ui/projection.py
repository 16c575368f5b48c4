"""From vectors of many dimensions to places on a plane: near what is alike (principal component analysis)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul
from typing import Final

MAX_VECTORS: Final = 150
"""More would take their time: each is compared with each."""

MAX_DIMENSIONS: Final = 256
"""Of longer vectors as many coordinates are compared, in equal steps."""

_ROUNDS: Final = 30
_STILL: Final = 1e-4
"""An axis that turns by less than this in a round is found."""

_AXES: Final = 2

Vector = Sequence[float]


def places_of(vectors: Sequence[Vector]) -> list[tuple[float, float]]:
    """For each vector its place, both coordinates 0 to 1.

    Args:
        vectors: of one length, up to `MAX_VECTORS` of them.
    """
    units = [_unit(vector) for vector in vectors]
    gram = _centered([[_dot(one, other) for other in units[: row + 1]] for row, one in enumerate(units)])
    axes: list[list[float]] = []
    for _ in range(_AXES):
        axes.append(_greatest(gram, axes))
    return list(zip(*map(_spread, axes), strict=True))


def _unit(vector: Vector) -> list[float]:
    vector = vector[:: -(-len(vector) // MAX_DIMENSIONS) or 1]
    length = math.hypot(*vector) or 1.0
    return [value / length for value in vector]


def _dot(one: Vector, other: Vector) -> float:
    product: float = sum(map(mul, one, other))
    return product


def _centered(lower: Sequence[Sequence[float]]) -> list[list[float]]:
    """The inner products of vectors from which their mean is taken, from the lower half of those of the vectors."""
    size = len(lower)
    whole = [[lower[max(row, column)][min(row, column)] for column in range(size)] for row in range(size)]
    means = [math.fsum(row) / size for row in whole]
    mean = math.fsum(means) / size if size else 0.0
    return [
        [value - means[row] - means[column] + mean for column, value in enumerate(values)]
        for row, values in enumerate(whole)
    ]


def _greatest(gram: Sequence[Vector], others: Sequence[Vector]) -> list[float]:
    """The coordinates along the axis of most variation that is at right angles to the others: by power iteration."""
    size = len(gram)
    # Not random, so that a picture stays as it is; and hardly at a right angle to what is looked for.
    axis = [math.cos(1 + 2.4 * number) for number in range(size)]
    value = 0.0
    for _ in range(_ROUNDS):
        start = axis
        for other in others:
            length = _dot(other, other)
            share = _dot(axis, other) / length if length else 0.0
            axis = [one - share * two for one, two in zip(axis, other, strict=True)]
        axis = [_dot(row, axis) for row in gram]
        value = math.hypot(*axis)
        if not value:
            return [0.0] * size
        axis = [one / value for one in axis]
        if math.dist(start, axis) < _STILL:
            break
    return [one * math.sqrt(value) for one in axis]


def _spread(coordinates: Vector) -> list[float]:
    """The coordinates from 0 to 1; in the middle if all are equal."""
    low, high = min(coordinates, default=0.0), max(coordinates, default=0.0)
    return [(value - low) / (high - low) if high - low > 1e-9 else 0.5 for value in coordinates]
