"""The SQL of a search against the ranking in plain Python, on small stores of every kind.

The words of texts are the client's in both, and those of a query are given, so that only the ranking is compared. The
vectors hold small whole numbers, whose cosines come out the same in both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final, Literal

import psycopg
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from openmem import Explanation, Memory, SearchResult
from openmem.analysis import QueryWord, SpelledWord
from openmem.analysis.analyzer import Analyzer
from openmem.ranking import constants as c
from openmem.ranking.calibration import reach
from openmem.ranking.evidence import explained
from openmem.ranking.reference import Candidate, Ranked, Recency, rank, rank_with_evidence

from .strategies import new_user

DIM: Final = 3
ANALYZER: Final = Analyzer()
SPEAKERS: Final = ("", "", "Maya", "Tom")
STEMS: Final = ("tea", "cello", "garden", "lisbon", "paint", "train", "maya", "tom", "may", "2023", "8")
WORDS: Final = ("tea", "cello", "garden", "lisbon", "paint", "train", "Maya", "Tom", "the", "May", "2023", "8")
MANY_WORDS: Final = [f"{first}{second}q" for first in "bcdfghklmn" for second in "aeiouyjvwx"]
NOON: Final = datetime(2023, 5, 8, 12, tzinfo=UTC)
MOMENTS: Final = [
    None,
    *(NOON + timedelta(minutes=minutes) for minutes in (0, 0, 0, 0.01, 10, 59, 60, 185)),
    datetime.min,
]
AGES: Final = [timedelta(seconds=seconds) for seconds in (0, 0, 0, 0.3, 1, 1.5, 90, 3600, 3601)]
PHASES: Final = (Phase.explicit, Phase.generate)
"""Stores are small from the start. To shrink one that fails takes minutes, since all tries go to a database."""

PARTS: Final = (
    "score", "meaning", "words", "dates", "neighbor", "similarity", "coverage", "question_factor", "recency_factor",
)  # fmt: skip
TOLERANCE: Final = 1e-9
TOLERANCE_OF_PARTS: Final = 1e-5
"""Smaller boosts than this are not told."""
TOLERANCE_OF_INDEXED: Final = 1e-5
"""Its weights of words are in single precision."""


@dataclass(frozen=True)
class Text:
    """A memory to be stored.

    Attributes:
        age: how much earlier it was stored than the last.
        shift: how far its sequence number is from its place: memories of one moment may share a number.
        is_analysed: whether its words were stored.
    """

    speaker: str
    words: tuple[str, ...]
    mark: str
    moment: datetime | None
    vector: tuple[int, ...]
    model: str
    shift: int
    age: timedelta = timedelta()
    is_analysed: bool = True

    @property
    def content(self) -> str:
        speaker = self.speaker and f"{self.speaker}: "
        return f"{speaker}so {' '.join(self.words)}{self.mark}"


@dataclass(frozen=True)
class Chosen:
    """The memories that a search selects: those of some numbers, or those that pass what only some do.

    Attributes:
        every: every so many memories is hidden; 0 for none.
        by: how: by its metadata, its tags, its app or its end, or because it is not indexed.
    """

    every: int
    by: Literal["where", "tags", "app", "expired", "unindexed"]

    @property
    def options(self) -> dict[str, Any]:
        filters: dict[str, Any] = {"where": {"n": {"$lt": 1}}, "tags": ["a"], "app": "a"}
        return {self.by: filters[self.by]} if self.by in filters else {}

    def is_selected(self, number: int) -> bool:
        return self.every == 0 or number % self.every != 0


class Vectors:
    """An embedder that returns what it was given."""

    model = "one"
    dim = DIM

    def __init__(self) -> None:
        self.following: list[Sequence[float]] = []

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        vectors, self.following = self.following[: len(texts)], self.following[len(texts) :]
        return vectors


vectors = st.tuples(*[st.integers(-1, 3)] * DIM)
few_words = st.lists(st.sampled_from(WORDS), max_size=5)
queries: st.SearchStrategy[tuple[QueryWord, ...]] = st.lists(
    st.builds(
        QueryWord,
        alternatives=st.lists(st.sampled_from(STEMS), min_size=1, max_size=3, unique=True).map(tuple)
        | st.sampled_from(STEMS).map(lambda stem: (stem,)),
        weight=st.sampled_from([1.0, 1.0, 1.0, 0.5, 2.0]),
    ),
    max_size=7,
).map(tuple)


def grouped(lexemes: Sequence[str], size: int) -> tuple[QueryWord, ...]:
    """Words of one alternative and of `size` in turn, which weigh differently."""
    words: list[QueryWord] = []
    rest = list(lexemes)
    while rest:
        count = size if len(words) % 2 else 1
        words.append(QueryWord(tuple(rest[:count]), 1.0 + len(words) % 3))
        del rest[:count]
    return tuple(words)


def stores(
    sizes: st.SearchStrategy[int], words: st.SearchStrategy[list[str]] = few_words
) -> st.SearchStrategy[list[Text]]:
    """Memories to be stored, of which many have a neighbor, an equal, or nothing to be compared."""
    texts = st.builds(
        Text,
        speaker=st.sampled_from(SPEAKERS),
        words=words.map(tuple),
        mark=st.sampled_from(["", "", ".", "?", "? "]),
        moment=st.sampled_from(MOMENTS),
        vector=vectors,
        model=st.sampled_from(["one", "one", "one", "two"]),
        shift=st.sampled_from([0, 0, 0, 0, 1, 3]),
        age=st.sampled_from(AGES),
        is_analysed=st.sampled_from([True, True, True, True, True, False]),
    )
    return sizes.flatmap(lambda size: st.lists(texts, min_size=size, max_size=size))


class Database:
    """Stores memories, and asks both rankings."""

    def __init__(self, url: str) -> None:
        self._embedder = Vectors()
        self._memory = Memory(url=url, embedder=self._embedder)
        self._admin = psycopg.connect(url, autocommit=True)

    def close(self) -> None:
        self._memory.close()
        self._admin.close()

    def store(self, stored: Sequence[Text]) -> str:
        """The id of a new user with these memories."""
        user = new_user()
        self._embedder.following = [text.vector for text in stored]
        added = self._memory.add_many(
            [{"content": text.content, "user_id": user, "valid_from": text.moment} for text in stored]
        )
        self._admin.execute(
            "UPDATE openmem.memories m SET embedding_model = new.model, ordinal = ordinal + new.shift, "
            "created_at = created_at - new.age, terms = CASE WHEN new.is_analysed THEN terms END "
            "FROM unnest(%s::text[], %s::text[], %s::int[], %s::boolean[], %s::interval[]) "
            "new (id, model, shift, is_analysed, age) "
            "WHERE m.id = new.id",
            (
                [record.id for record in added],
                [text.model for text in stored],
                [text.shift for text in stored],
                [text.is_analysed for text in stored],
                [text.age for text in stored],
            ),
        )
        return user

    def hide(self, user: str, chosen: Chosen) -> None:
        """Let a user have the rest of the memories such that the search of a selection finds none of them."""
        self._admin.execute(
            "UPDATE openmem.memories m SET "
            "metadata = jsonb_build_object('n', h.is_hidden::int), "
            "tags = CASE WHEN h.is_hidden THEN '{b}' ELSE '{a,b}' END::text[], "
            "source = json_build_object('app', CASE WHEN h.is_hidden THEN 'b' ELSE 'a' END), "
            "expires_at = CASE WHEN h.is_hidden AND %(by)s = 'expired' THEN now() END, "
            "indexed = NOT (h.is_hidden AND %(by)s = 'unindexed') "
            "FROM (SELECT id, %(every)s > 0 AND (row_number() OVER (ORDER BY id) - 1) %% greatest(%(every)s, 1) = 0 "
            "AS is_hidden FROM openmem.memories WHERE user_id = %(user)s) h WHERE m.id = h.id",
            {"user": user, "every": chosen.every, "by": chosen.by},
        )

    def candidates(self, user: str, stored: Sequence[Text]) -> list[Candidate]:
        """What the reference reads of the memories of a user."""
        rows = self._admin.execute(
            "SELECT id, ordinal, embedding::text, created_at FROM openmem.memories WHERE user_id = %s ORDER BY id",
            (user,),
        ).fetchall()
        candidates = []
        for (id, ordinal, vector, created_at), text in zip(rows, stored, strict=True):
            moment = created_at if text.moment is None else text.moment.replace(tzinfo=UTC)
            terms = ANALYZER.memory(text.content, moment + text.age if text.moment is None else moment)
            candidates.append(
                Candidate(
                    id=id,
                    sequence_no=ordinal,
                    moment=moment,
                    is_dated=text.moment is not None,
                    lexemes=terms.lexemes if text.is_analysed else None,
                    speakers=terms.speakers,
                    is_question=terms.is_question and text.is_analysed,
                    vector=json.loads(vector) if text.model == Vectors.model else None,
                )
            )
        return candidates

    def use_index(self, user: str) -> None:
        """Give a user so high sequence numbers that the memories are searched by the words' index."""
        self._admin.execute("UPDATE openmem.memories SET ordinal = ordinal + 2000 WHERE user_id = %s", (user,))

    def calibrate(self, baselines: Sequence[Sequence[float]]) -> None:
        """Let the embedder have these baselines."""
        self._admin.execute("DELETE FROM openmem.baselines")
        for number, baseline in enumerate(baselines):
            self._admin.execute(
                "INSERT INTO openmem.baselines VALUES ('one', %s, %s)", (number, json.dumps(list(baseline)))
            )

    def search(self, user: str, words: Sequence[QueryWord], vector: Sequence[float], **options: Any) -> list[Ranked]:
        return [Ranked(hit.memory.id, hit.score) for hit in self._search(user, words, vector, options)]

    def explain(
        self, user: str, words: Sequence[QueryWord], vector: Sequence[float], **options: Any
    ) -> dict[str, Explanation]:
        """The explanations of a search by the ids of the memories, the best first."""
        found = {}
        for hit in self._search(user, words, vector, {**options, "explain": True}):
            assert hit.explanation is not None
            assert hit.explanation.score == hit.score
            found[hit.memory.id] = hit.explanation
        return found

    def _search(
        self, user: str, words: Sequence[QueryWord], vector: Sequence[float], options: dict[str, Any]
    ) -> list[SearchResult]:
        self._embedder.following = [vector]
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Analyzer, "query", lambda *_: words)
            return self._memory.search("?", user, **options)


@pytest.fixture(scope="module")
def database(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


def is_stable(
    memories: list[Candidate], words: Sequence[QueryWord], vector: Sequence[float], recency: Recency | None
) -> bool:
    """Whether no two memories have nearly equal scores of their own, of which single precision could swap the order."""
    alone = [replace(memory, sequence_no=10 * n, is_question=False) for n, memory in enumerate(memories)]
    scores = [score for _, score in rank(alone, words, vector, limit=len(alone), recency=recency)]
    return all(better - worse > 10 * TOLERANCE_OF_INDEXED for better, worse in pairwise(scores))


def check_same(found: list[Ranked], expected: list[Ranked], limit: int, min_score: float, tolerance: float) -> None:
    """Both are the same but for memories whose scores are as good as equal.

    Args:
        expected: the scores of all memories.
    """
    least = sum(score > max(min_score, 0) + tolerance for _, score in expected[:limit])
    assert least <= len(found) <= sum(score >= min_score - tolerance for _, score in expected[:limit])
    scores = dict(expected)
    for (id, score), (_, next_best) in zip(found, expected, strict=False):
        assert score == pytest.approx(scores[id], abs=tolerance)
        assert score == pytest.approx(next_best, abs=tolerance)


def check_explained(
    found: dict[str, Explanation],
    expected: dict[str, Explanation],
    tolerance: float,
) -> None:
    """Both explain the scores of the same memories in the same way.

    Args:
        expected: the explanations of all memories.
    """
    for id, one in found.items():
        other = expected[id]
        assert one.meaning + one.words + one.dates + one.neighbor == pytest.approx(one.score, abs=TOLERANCE)
        for part in PARTS:
            assert getattr(one, part) == pytest.approx(getattr(other, part), abs=tolerance), part
        assert [(term.text, term.kind) for term in one.terms] == [(term.text, term.kind) for term in other.terms]
        for term, same in zip(one.terms, other.terms, strict=True):
            assert (term.weight, term.found) == pytest.approx((same.weight, same.found), abs=tolerance)
        if max(one.neighbor, other.neighbor) > tolerance:
            assert one.neighbor_id == other.neighbor_id


def explained_by_reference(words: Sequence[QueryWord], *asked: Any) -> dict[str, Explanation]:
    memories, *rest = asked
    spelled = [SpelledWord(word.alternatives[0], "word") for word in words]
    ranked = rank_with_evidence(memories, words, *rest)
    return {found.id: explained(evidence, spelled, found.score) for found, evidence in ranked}


@settings(max_examples=100, phases=PHASES)
@given(
    stored=stores(st.integers(1, 12)),
    words=queries,
    vector=vectors,
    limit=st.sampled_from([1, 3, 10, 100]),
    min_score=st.sampled_from([0.0, 0.0, 0.3, 0.6]),
    half_life=st.sampled_from([None, 1e10, 1e12]),
    chosen=st.builds(
        Chosen,
        every=st.sampled_from([0, 1, 2, 3]),
        by=st.sampled_from(["where", "tags", "app", "expired", "unindexed"]),
    ),
)
def test_sql_scores_and_orders_as_the_reference(
    database: Database,
    stored: list[Text],
    words: tuple[QueryWord, ...],
    vector: tuple[int, ...],
    limit: int,
    min_score: float,
    half_life: float | None,
    chosen: Chosen,
) -> None:
    user = database.store(stored)
    database.hide(user, chosen)
    memories = [memory for n, memory in enumerate(database.candidates(user, stored)) if chosen.is_selected(n)]
    # Half-lives are so long that a minute between this now and the server's does not show.
    recency = None if half_life is None else Recency(half_life, datetime.now(UTC))
    expected = rank(memories, words, vector, limit=len(memories), recency=recency)
    options = {"limit": limit, "min_score": min_score, "recency": half_life, **chosen.options}
    found = database.search(user, words, vector, **options)
    check_same(found, expected, limit, min_score, TOLERANCE)
    assert [id for id, _ in found] == [id for id, _ in rank(memories, words, vector, limit, min_score, 1.0, recency)]
    explanations = database.explain(user, words, vector, **options)
    assert list(explanations) == [id for id, _ in found]
    known = explained_by_reference(words, memories, vector, len(memories), 0.0, 1.0, recency)
    check_explained(explanations, known, TOLERANCE_OF_PARTS)
    if is_stable(memories, words, vector, recency):
        database.use_index(user)
        found = database.search(user, words, vector, **options)
        check_same(found, expected, limit, min_score, TOLERANCE_OF_INDEXED)
        explanations = database.explain(user, words, vector, **options)
        assert list(explanations) == [id for id, _ in found]
        check_explained(explanations, known, TOLERANCE_OF_INDEXED)


@settings(max_examples=40, phases=PHASES)
@given(
    stored=stores(st.integers(1, 12)),
    words=queries,
    vector=vectors,
    baselines=st.lists(st.tuples(*[st.integers(0, 6).map(lambda eighths: eighths / 8)] * DIM), max_size=3),
)
def test_similarities_are_measured_from_the_baselines(
    database: Database,
    stored: list[Text],
    words: tuple[QueryWord, ...],
    vector: tuple[int, ...],
    baselines: list[tuple[float, ...]],
) -> None:
    user = database.store(stored)
    memories = database.candidates(user, stored)
    expected = rank(memories, words, vector, limit=len(memories), reach=reach(vector, baselines))
    database.calibrate(baselines)
    try:
        found = database.search(user, words, vector, limit=100)
        check_same(found, expected, 100, 0.0, TOLERANCE)
        known = explained_by_reference(words, memories, vector, 100, 0.0, reach(vector, baselines))
        check_explained(database.explain(user, words, vector, limit=100), known, TOLERANCE_OF_PARTS)
    finally:
        database.calibrate([])


@settings(max_examples=20, phases=PHASES)
@given(
    stored=stores(st.integers(c.SEEDS - 2, c.SEEDS + 20)),
    words=queries,
    vector=vectors,
    limit=st.sampled_from([1, c.SEEDS, 100]),
)
def test_only_seeds_boost(
    database: Database, stored: list[Text], words: tuple[QueryWord, ...], vector: tuple[int, ...], limit: int
) -> None:
    user = database.store(stored)
    memories = database.candidates(user, stored)
    found = database.search(user, words, vector, limit=limit)
    check_same(found, rank(memories, words, vector, limit=len(memories)), limit, 0.0, TOLERANCE)


def test_the_seeds_are_the_best(database: Database) -> None:
    """Each of some more memories than there are seeds has a neighbor of its own, which nothing else could boost."""
    stored = []
    for number in range(c.SEEDS + 2):
        common: dict[str, Any] = {"speaker": "", "mark": "", "moment": NOON, "model": "one", "shift": 3 * number}
        stored.append(Text(words=("tea",), vector=(number + 1, 3, 0), **common))
        stored.append(Text(words=("garden",), vector=(1, 3, 0), **common))
    user = database.store(stored)
    words, memories = [QueryWord(("tea",))], database.candidates(user, stored)
    found = database.search(user, words, (1, 0, 0), limit=100)
    check_same(found, rank(memories, words, (1, 0, 0), limit=100), 100, 0.0, TOLERANCE)


@settings(max_examples=20, phases=PHASES)
@given(
    stored=stores(st.integers(6, 12), st.lists(st.sampled_from(MANY_WORDS), min_size=15, max_size=25)),
    words=st.permutations(MANY_WORDS).flatmap(
        lambda words: st.integers(c.MAX_QUERY_LEXEMES - 10, len(words)).flatmap(
            lambda count: st.sampled_from([1, 1, 2, 3]).map(lambda size: grouped(words[:count], size))
        )
    ),
    vector=vectors,
)
def test_of_many_words_the_rarest_count(
    database: Database, stored: list[Text], words: tuple[QueryWord, ...], vector: tuple[int, ...]
) -> None:
    user = database.store(stored)
    memories = database.candidates(user, stored)
    found = database.search(user, words, vector, limit=100)
    check_same(found, rank(memories, words, vector, limit=len(memories)), 100, 0.0, TOLERANCE)
    known = explained_by_reference(words, memories, vector, 100)
    check_explained(database.explain(user, words, vector, limit=100), known, TOLERANCE_OF_PARTS)
    database.use_index(user)
    for one in database.explain(user, words, vector, limit=100).values():
        assert one.meaning + one.words + one.neighbor == pytest.approx(one.score, abs=TOLERANCE)
        assert (one.coverage or 0.0) <= sum(term.found for term in one.terms) + TOLERANCE_OF_INDEXED
