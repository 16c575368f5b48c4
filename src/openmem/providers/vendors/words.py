"""Which texts share words with a query, for what a backend's own search does not reach. Pure."""

from __future__ import annotations

import re
from typing import Final

_WORD: Final = re.compile(r"\w+")


def words_of(text: str) -> frozenset[str]:
    """The words of a text, whatever their case."""
    return frozenset(_WORD.findall(text.casefold()))


def shared_letters(query: frozenset[str], text: str) -> int:
    """How many letters those words of a query have that are in a text, too."""
    return sum(map(len, query & words_of(text)))
