"""The ranking of `search` in plain Python: what the SQL of the PostgreSQL provider computes.

`openmem.ranking.constants` has the formula. First every memory is scored by itself. The best of them, the *seeds*, then
boost their *neighbors*: the memories that were added shortly before or after a seed and are from less than an hour
before or after it. Of several scores a memory keeps the best. A property test compares the order and the scores with
those of the SQL.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import mul
from typing import Final, NamedTuple

from ..analysis.terms import QueryWord
from . import constants as c
from .evidence import SPEAKER, Evidence, coverage, similarity
from .scale import scaled

_NEIGHBOR_GAP: Final = timedelta(seconds=c.NEIGHBOR_GAP_SECONDS)
_AT_ONCE: Final = timedelta(seconds=c.STORED_AT_ONCE_SECONDS)
_LEAST_VARIATION: Final = 1e-9
"""Where the similarities of seeds vary less, they do not tell whether neighbors are alike."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the ranking reads of a memory.

    Attributes:
        id: of equal memories the one with the greater id comes first; ids of newer memories are greater.
        sequence_no: the memory's number in the order in which the memories of its user were added.
        moment: when it is from.
        is_dated: whether a caller gave the moment; else it is when the memory was stored.
        lexemes: its words by their stems, and those of the date that it is from; None if nobody has analysed it.
        speakers: the stems of the name before the colon in a text like ``Maya: I moved to Porto``.
        is_question: whether it ends in a question mark.
        vector: its embedding; None without one, or if another model than the query's made it.
    """

    id: str
    sequence_no: int
    moment: datetime
    is_dated: bool
    lexemes: AbstractSet[str] | None
    speakers: AbstractSet[str]
    is_question: bool
    vector: Sequence[float] | None


class Ranked(NamedTuple):
    """The id of a memory and its score, 0 to 1."""

    id: str
    score: float


class Recency(NamedTuple):
    """That newer memories count more.

    Attributes:
        half_life: the age in seconds at which a memory has lost half of what age can take from its score.
        now: from when ages are counted.
    """

    half_life: float
    now: datetime

    def share_kept(self, moment: datetime) -> float:
        """The share of its score that a memory from this moment keeps."""
        half_lives = max(0.0, (self.now - moment).total_seconds()) / self.half_life
        return 1 - c.RECENCY_SHARE * (1 - math.pow(0.5, min(half_lives, c.OLDEST_HALF_LIVES)))


@dataclass(frozen=True, slots=True)
class _Scored:
    """A memory compared with a query.

    Attributes:
        recency_factor: the share of its score that the memory keeps at its age.
        similarity, coverage: None where there is nothing to compare.
        boost_share: how much of a boost it may get, as far as it is near the query itself, 0 to 1.
        shared: the positions of the query's words that the memory has, and `SPEAKER`.
    """

    memory: Candidate
    similarity: float | None
    shared: AbstractSet[int]
    coverage: float | None
    boost_share: float
    recency_factor: float

    @property
    def question_factor(self) -> float:
        """The share of its score that the memory keeps, if it is a question."""
        return c.QUESTION_FACTOR if self.memory.is_question else 1.0

    @property
    def factor(self) -> float:
        """The share of its score that the memory keeps, after what questions and old memories lose."""
        return self.question_factor * self.recency_factor

    @property
    def own_score(self) -> float:
        """The score of the memory by itself, before it is multiplied by the factor."""
        if self.similarity is not None and self.coverage is not None:
            return c.VECTOR_WEIGHT * self.similarity + c.WORDS_WEIGHT * self.coverage
        return self.coverage if self.coverage is not None else self.similarity or 0.0

    def evidence(self, weights: Mapping[int, float], total: float, seed_id: str | None) -> Evidence:
        """What the score `total` of the memory comes from."""
        return Evidence(
            self.similarity,
            self.coverage,
            self.shared,
            weights,
            self.question_factor,
            self.recency_factor,
            total,
            seed_id,
        )

    def is_below(self, other: _Scored) -> bool:
        return (self.own_score, self.memory.id) < (other.own_score, other.memory.id)


def rank(
    memories: Sequence[Candidate],
    words: Sequence[QueryWord],
    vector: Sequence[float],
    limit: int,
    min_score: float = 0.0,
    reach: float = 1.0,
    recency: Recency | None = None,
) -> list[Ranked]:
    """The best of one user's memories for a query, the best first, without those of score 0.

    Args:
        words: those of the query, each once, in order of appearance.
        vector: the embedding of the query.
        reach: that of the query; see `openmem.ranking.calibration`.
        recency: how newer memories count more; None if age does not matter.
    """
    return [one for one, _ in rank_with_evidence(memories, words, vector, limit, min_score, reach, recency)]


def rank_with_evidence(
    memories: Sequence[Candidate],
    words: Sequence[QueryWord],
    vector: Sequence[float],
    limit: int,
    min_score: float = 0.0,
    reach: float = 1.0,
    recency: Recency | None = None,
) -> list[tuple[Ranked, Evidence]]:
    """The same as `rank`, and what each score comes from."""
    weights = word_weights(memories, words)
    scored = [_compared(memory, words, vector, weights, reach, recency) for memory in memories]
    best = {one.memory.id: one.factor * one.own_score for one in scored}
    boosted_by: dict[str, str] = {}
    seeds = sorted(scored, key=lambda one: (best[one.memory.id], one.memory.id), reverse=True)[: c.SEEDS]
    pairs = list(_neighbors(seeds, scored))
    series_factor = _series_factor(pairs, scored)
    boosts = [
        (seed, one, _boosted(one, seed, weights, series_factor if _are_stored_at_once(seed, one) else 1.0))
        for seed, one in pairs
    ]
    # A boost closes at most GAP_SHARE of the gap between a memory and a seed above it. The gap ends at the seed's own
    # score, or at the score that a memory below the seed boosts the seed to.
    ceilings = {seed.memory.id: seed.own_score for seed in seeds}
    for seed, one, score in boosts:
        if one.memory.id in ceilings and seed.is_below(one):
            ceilings[one.memory.id] = max(ceilings[one.memory.id], score)
    for seed, one, score in boosts:
        if one.is_below(seed):
            score = min(score, one.own_score + c.GAP_SHARE * (ceilings[seed.memory.id] - one.own_score))
        # Of equal boosts that of the newer seed counts.
        key, raised = one.memory.id, one.factor * score
        if raised > best[key] or (raised == best[key] and seed.memory.id > boosted_by.get(key, seed.memory.id)):
            best[key], boosted_by[key] = raised, seed.memory.id
    scored.sort(key=lambda one: (best[one.memory.id], one.own_score, one.memory.id), reverse=True)
    ranked = [(Ranked(one.memory.id, scaled(min(1.0, best[one.memory.id]))), one) for one in scored[:limit]]
    return [
        (found, one.evidence(weights, min(1.0, best[found.id]), boosted_by.get(found.id)))
        for found, one in ranked
        if found.score > 0 and found.score >= min_score
    ]


def word_weights(memories: Sequence[Candidate], words: Sequence[QueryWord]) -> dict[int, float]:
    """The weights of a query's words, by position: the greater, the fewer of the memories have the word.

    Of words with more than `MAX_QUERY_LEXEMES` lexemes that memories have, the most common ones do not count.
    """
    counts = Counter(position for memory in memories for position in _shared(memory, words))
    rarities = {
        position: math.log(1 + (1 + len(memories)) / (1 + counts[position]))
        for position in (*range(len(words)), SPEAKER)
    }
    weights = {position: word.weight * rarities[position] for position, word in enumerate(words)}
    for position in _ignored(memories, words, counts):
        del weights[position]
    weights[SPEAKER] = c.SPEAKER_WEIGHT * rarities[SPEAKER] if counts[SPEAKER] else 0.0
    return weights


def _ignored(memories: Sequence[Candidate], words: Sequence[QueryWord], counts: Mapping[int, int]) -> Iterator[int]:
    """The positions of the words that a long query has too many of."""
    if sum(len(word.alternatives) for word in words) <= c.MAX_QUERY_LEXEMES:
        return
    known = frozenset[str]().union(*(memory.lexemes for memory in memories if memory.lexemes))
    counted = [position for position in range(len(words)) if counts[position]]
    lexemes = 0
    for position in sorted(counted, key=lambda p: words[p].weight / (1 + counts[p]), reverse=True):
        lexemes += len(known.intersection(words[position].alternatives))
        if lexemes > c.MAX_QUERY_LEXEMES:
            yield position


def _shared(memory: Candidate, words: Sequence[QueryWord]) -> set[int]:
    if memory.lexemes is None:
        return set()
    shared = {n for n, word in enumerate(words) if not memory.lexemes.isdisjoint(word.alternatives)}
    if memory.speakers and any(not memory.speakers.isdisjoint(word.alternatives) for word in words):
        shared.add(SPEAKER)
    return shared


def _compared(
    memory: Candidate,
    words: Sequence[QueryWord],
    vector: Sequence[float],
    weights: dict[int, float],
    reach: float,
    recency: Recency | None,
) -> _Scored:
    shared, near, boost_share = _shared(memory, words), None, 0.0
    if memory.vector is not None and any(vector):
        distance = 1 - _cosine(memory.vector, vector) if any(memory.vector) else 2.0
        near = similarity(distance, reach)
        nearness = 1 - distance / min(1.0, c.NEIGHBOR_REACH_FACTOR * reach)
        boost_share = min(1.0, max(0.0, c.NEIGHBOR_DECAY * nearness))
    covered = None if memory.lexemes is None else coverage(shared, weights)
    return _Scored(
        memory, near, shared, covered, boost_share, 1.0 if recency is None else recency.share_kept(memory.moment)
    )


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    norms = math.sqrt(sum(map(mul, one, one)) * sum(map(mul, other, other)))
    return sum(map(mul, one, other)) / norms if norms else 0.0


def _neighbors(seeds: Sequence[_Scored], scored: Sequence[_Scored]) -> Iterator[tuple[_Scored, _Scored]]:
    """The pairs of a seed and a neighbor of it."""
    numbered: defaultdict[int, list[_Scored]] = defaultdict(list)
    for one in scored:
        numbered[one.memory.sequence_no].append(one)
    for seed in seeds:
        for step in range(-c.NEIGHBOR_DISTANCE, c.NEIGHBOR_DISTANCE + 1):
            for one in numbered.get(seed.memory.sequence_no + step, ()) if step else ():
                if abs(one.memory.moment - seed.memory.moment) < _NEIGHBOR_GAP:
                    yield seed, one


def _are_stored_at_once(one: _Scored, other: _Scored) -> bool:
    """Whether only their order says that two memories belong together: they may be notes stored in bulk."""
    is_dated = one.memory.is_dated and other.memory.is_dated
    return not is_dated and abs(one.memory.moment - other.memory.moment) < _AT_ONCE


def _series_factor(pairs: Sequence[tuple[_Scored, _Scored]], scored: Sequence[_Scored]) -> float:
    """How much of a boost passes between memories that were stored at once, 0 to 1.

    In a text or a conversation what is next to a seed is more like the query than other memories are. Among notes that
    have nothing to do with each other it is not. The autocorrelation of the similarities to the query tells which.
    """
    similarities = [one.similarity for one in scored if one.similarity is not None]
    mean = math.fsum(similarities) / len(similarities) if similarities else 0.0
    deviations = [
        (seed.similarity - mean, one.similarity - mean)
        for seed, one in pairs
        if _are_stored_at_once(seed, one) and seed.similarity is not None and one.similarity is not None
    ]
    variation = sum(of_seed**2 for of_seed, _ in deviations)
    covariation = sum(of_seed * of_neighbor for of_seed, of_neighbor in deviations)
    return min(1.0, max(0.0, covariation / max(variation, _LEAST_VARIATION) / c.SERIES_AUTOCORRELATION))


def _boosted(one: _Scored, seed: _Scored, weights: dict[int, float], factor: float) -> float:
    """The score of a neighbor with what the seed adds, as far as the neighbor itself is similar to the query.

    Args:
        factor: the share of the boost that passes between the two.
    """
    new_coverage = coverage(seed.shared - one.shared - {SPEAKER}, weights)
    if one.similarity is None or one.coverage is None or new_coverage is None:
        return one.own_score
    gap = max(0.0, (seed.similarity or 0.0) - one.similarity)
    boost = c.VECTOR_WEIGHT * c.GAP_SHARE * gap + c.WORDS_WEIGHT * c.NEIGHBOR_WEIGHT * new_coverage
    return one.own_score + factor * one.boost_share * boost
