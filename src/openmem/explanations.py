"""Why a search found a memory: what its score is made of."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from .wire_model import WireModel

EXTENSION = "x-openmem"
"""The member of a search result that holds what only openmem sends."""


class ExplainedTerm(WireModel):
    """A word of a query, or a date in it, compared with a memory.

    Attributes:
        text: as the query has it; empty for ``speaker``.
        kind: ``word``; ``date``, which the memory names or is from; ``speaker``: the query names who says the memory.
            A newer server may have other values.
        weight: the share of the query that it is, 0 to 1: the rarer among the user's memories, the more.
        found: how much of `weight` the memory has: all of it for the word itself or another form of it, a part for one
            that is only like it, such as a name that sounds alike or a compound, and 0 for a word that it lacks.
    """

    text: str
    kind: Literal["word", "date", "speaker"] | str
    weight: float
    found: float


class Explanation(WireModel):
    """What the score of a search result is made of.

    ``meaning``, ``words``, ``dates`` and ``neighbor`` are parts of the score, and add up to it.

    Attributes:
        score: what the search gave the memory, 0 to 1. The result has the same, unless a reranker gave it another.
        meaning: the part for what the memory means, by its vector and that of the query.
        words: the part for words of the query that the memory has, and for its speaker.
        dates: the part for dates of the query that the memory names or is from.
        neighbor: the part for another memory that was added just before or after this one, and answers the query
            better.
        similarity: how much nearer to the query the memory is in its meaning than unrelated texts are, 0 to 1; None
            if another model embedded it.
        coverage: the share of the query's words and dates that the memory has, 0 to 1; None if the query has none.
        terms: these words and dates, in the order of the query. Of a long query it has all that the memory has, and
            some of those that it lacks.
        neighbor_id: the id of that other memory; None if there is none.
        question_factor: the share of its score that the memory keeps though it is a question; 1 if it is none.
        recency_factor: the share of its score that the memory keeps at its age; 1 without ``recency``.
    """

    score: float
    meaning: float = 0.0
    words: float = 0.0
    dates: float = 0.0
    neighbor: float = 0.0
    similarity: float | None = None
    coverage: float | None = None
    terms: list[ExplainedTerm] = Field(default_factory=list)
    neighbor_id: str | None = None
    question_factor: float = 1.0
    recency_factor: float = 1.0

    @property
    def extension(self) -> dict[str, Any]:
        """The extra field of a search result that has it."""
        return {EXTENSION: {"explanation": self.to_wire()}}

    @classmethod
    def in_extension(cls, value: Any) -> Explanation | None:
        """The explanation in the field `EXTENSION` of a search result; None if there is none."""
        explained = value.get("explanation") if isinstance(value, dict) else None
        return None if explained is None else cls.model_validate(explained)
