"""From what the ranking knows of a memory that it found to an explanation of its score."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from ..analysis import SpelledWord
from ..explanations import ExplainedTerm, Explanation
from . import constants as c

SPEAKER: Final = -1
"""Stands among the positions of the query's words that a memory has if the query names the memory's speaker."""

MAX_MISSING_TERMS: Final = 60
"""How many words that a memory lacks an explanation names: the first of the query."""

_LEAST_BOOST: Final = 1e-6
"""Less than this is how single precision rounds."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the score of a memory comes from.

    Attributes:
        similarity, coverage: None where there is nothing to compare.
        shared: the positions of the query's words that the memory has, and `SPEAKER`.
        weights: those of the query's words, by position, and that of `SPEAKER`.
        question_factor, recency_factor: the shares of its score that the memory keeps.
        total: the score of the ranking, before it is scaled.
        seed_id: the memory whose neighbor it is, if it scores more by that than by itself.
    """

    similarity: float | None
    coverage: float | None
    shared: AbstractSet[int]
    weights: Mapping[int, float]
    question_factor: float
    recency_factor: float
    total: float
    seed_id: str | None


def coverage(shared: AbstractSet[int], weights: Mapping[int, float]) -> float | None:
    """The share of the weight of a query's words that these have; None for a query without words."""
    total = sum(weights.values())
    return sum(weight for position, weight in weights.items() if position in shared) / total if total else None


def similarity(distance: float, reach: float) -> float:
    """That of two vectors, from the distance between them and the reach of the query's."""
    return max(1 - distance / reach, c.DISTANT_SIMILARITY * (1 - distance / 2))


def explained(evidence: Evidence, spelled: Sequence[SpelledWord], score: float) -> Explanation:
    """What a score is made of.

    Args:
        spelled: how the query spells each of its words, by position.
        score: the one that the search returns.
    """
    has_both = evidence.similarity is not None and evidence.coverage is not None
    meaning = (evidence.similarity or 0.0) * (c.VECTOR_WEIGHT if has_both else evidence.coverage is None)
    covered = (evidence.coverage or 0.0) * (c.WORDS_WEIGHT if has_both else 1)
    kept = evidence.question_factor * evidence.recency_factor
    boost = evidence.total / kept - meaning - covered
    is_boosted = evidence.seed_id is not None and boost > _LEAST_BOOST
    whole = meaning + covered + (boost if is_boosted else 0.0)
    scale = score / whole if whole else 0.0
    terms = _terms(evidence, spelled)
    found = sum(term.found for term in terms)
    of_dates = sum(term.found for term in terms if term.kind == "date") / found if found else 0.0
    return Explanation(
        score=score,
        meaning=scale * meaning,
        words=scale * covered * (1 - of_dates),
        dates=scale * covered * of_dates,
        neighbor=scale * boost if is_boosted else 0.0,
        similarity=evidence.similarity,
        coverage=evidence.coverage,
        terms=terms,
        neighbor_id=evidence.seed_id if is_boosted else None,
        question_factor=evidence.question_factor,
        recency_factor=evidence.recency_factor,
    )


def _terms(evidence: Evidence, spelled: Sequence[SpelledWord]) -> list[ExplainedTerm]:
    """The words of a query by their spelling: one may count as several, such as its stem and its sound."""
    total = sum(evidence.weights.values())
    weights: dict[SpelledWord, float] = {}
    found: defaultdict[SpelledWord, float] = defaultdict(float)
    for position in sorted(evidence.weights, key=lambda position: (position == SPEAKER, position)):
        weight = evidence.weights[position]
        spelling = SpelledWord("", "speaker") if position == SPEAKER else spelled[position]
        if weight:
            weights[spelling] = weights.get(spelling, 0.0) + weight / total
            found[spelling] += weight / total if position in evidence.shared else 0.0
    missing = [spelling for spelling in weights if not found[spelling]][MAX_MISSING_TERMS:]
    for spelling in missing:
        del weights[spelling]
    return [
        ExplainedTerm(text=spelling.text, kind=spelling.kind, weight=weight, found=found[spelling])
        for spelling, weight in weights.items()
    ]
