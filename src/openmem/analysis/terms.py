"""What an analysis finds in a memory and in a query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

MAX_SPEAKERS: Final = 3
"""How many stems of a speaker's name are compared."""


@dataclass(frozen=True, slots=True)
class MemoryTerms:
    """What the ranking reads of a memory's text.

    Attributes:
        lexemes: its words by their stems, and those of the date that it is from.
        speakers: up to `MAX_SPEAKERS` stems of the name before the colon in a text like ``Maya: I moved to Porto``.
        is_question: whether it ends in a question mark.
    """

    lexemes: frozenset[str]
    speakers: frozenset[str]
    is_question: bool


class QueryWord(NamedTuple):
    """A word of a query.

    Attributes:
        alternatives: lexemes; a memory has the word if it has any of them.
        weight: how much the word counts, in weights of a word that as many memories have.
    """

    alternatives: tuple[str, ...]
    weight: float = 1.0


class SpelledWord(NamedTuple):
    """How a query spells a word.

    Attributes:
        text: the part of the query.
        kind: ``word``, or ``date`` for a date that the query names.
    """

    text: str
    kind: str
