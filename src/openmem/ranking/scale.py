"""The scale of the scores that a search returns.

In the ranking the right answer has a third to a half of what a memory can have, and the best of memories that have
nothing to do with the query about a fifth. The scale moves the two apart, and keeps the order.
"""

from __future__ import annotations

import math
from typing import Final

from .constants import SCALE_EXPONENT, SCALE_HALF

_K: Final = math.pow(SCALE_HALF, SCALE_EXPONENT)


def scaled(score: float) -> float:
    """The score that a search returns for one of the ranking: 0 for 0, 1 for 1, and the greater the greater it is."""
    power = math.pow(score, SCALE_EXPONENT)
    return min(1.0, (1 + _K) * power / (power + _K))


def unscaled(score: float) -> float:
    """The score of the ranking from which on the returned one may be `score`; the inverse of `scaled`, rounded down."""
    return math.pow(_K * score / (1 + _K - score), 1 / SCALE_EXPONENT) * (1 - 1e-9)
