"""Values of a function of texts, kept in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

V = TypeVar("V")

LONGEST: Final = 40
"""Of longer texts nothing is kept."""


class Memo(dict[str, V]):
    """The values of a function by texts. ``memo[text]`` calls the function if there is none.

    A hit touches less memory than one of `functools.lru_cache`, which puts its entries in order, and an analysis has a
    hundred of them. When there are too many values, all are forgotten.

    Args:
        size: how many values are kept.
    """

    __slots__ = ("_function", "_size")

    def __init__(self, function: Callable[[str], V], size: int) -> None:
        super().__init__()
        self._function = function
        self._size = size

    def __missing__(self, text: str) -> V:
        value = self._function(text)
        if len(text) <= LONGEST:
            if len(self) >= self._size:
                self.clear()
            self[text] = value
        return value
