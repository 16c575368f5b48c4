"""The rankings that openmem is measured against, computed here from the same texts and the same vectors.

``vectors`` is the cosine. ``BM25`` has the usual constants (k1 1.2, b 0.75), statistics of the user's own memories, and
the words that openmem's analysis finds, those of a memory's date among them; a word counts once in a memory, as in
openmem. ``RRF`` is reciprocal rank fusion of the two (k 60).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from openmem.analysis.analyzer import Analyzer

from .datasets import Data, Question, Remembered
from .embedding import Remembering

VECTORS: Final = "vectors"
BM25: Final = "BM25"
RRF: Final = "RRF"

K1: Final = 1.2
B: Final = 0.75
RRF_K: Final = 60

Scores = NDArray[np.float64]
Hits = list[tuple[str, float]]


class Baselines:
    """The baselines over the memories of one set."""

    def __init__(self, data: Data, embedder: Remembering) -> None:
        self._embedder = embedder
        users: defaultdict[str, list[Remembered]] = defaultdict(list)
        for memory in data.memories:
            users[memory.user].append(memory)
        analyzer = Analyzer()
        self._users = {user: _User(memories, embedder, analyzer) for user, memories in users.items()}

    def best(self, question: Question, user: str, limit: int) -> Mapping[str, Hits]:
        """The keys of a user's best memories for a question with their scores, best first, by baseline."""
        one = self._users[user]
        [vector] = self._embedder.queries([question.text])
        cosine: Scores = one.vectors @ vector
        bm25 = one.bm25(question.text)
        fused = _reciprocal_ranks(cosine, cosine > -1) + _reciprocal_ranks(bm25, bm25 > 0)
        return {
            VECTORS: one.hits(cosine, limit),
            BM25: one.hits(bm25, limit),
            RRF: one.hits(fused, limit),
        }


class _User:
    def __init__(self, memories: Sequence[Remembered], embedder: Remembering, analyzer: Analyzer) -> None:
        self._analyzer = analyzer
        self._now = datetime.now(UTC)
        self.vectors = embedder.documents([memory.content for memory in memories])
        self._refs = [memory.ref for memory in memories]
        self._postings: defaultdict[str, list[int]] = defaultdict(list)
        lengths = []
        for number, memory in enumerate(memories):
            moment = self._now if memory.valid_from is None else datetime.fromisoformat(memory.valid_from)
            words = analyzer.memory(memory.content, moment).lexemes
            lengths.append(len(words))
            for word in words:
                self._postings[word].append(number)
        relative = np.array(lengths) / (sum(lengths) / len(lengths))
        self._share = (K1 + 1) / (1 + K1 * (1 - B + B * relative))

    def bm25(self, text: str) -> Scores:
        scores = np.zeros(len(self._refs))
        for word in self._analyzer.query(text, self._now):
            having = sorted({number for lexeme in word.alternatives for number in self._postings.get(lexeme, ())})
            idf = np.log(1 + (len(scores) - len(having) + 0.5) / (len(having) + 0.5))
            scores[having] += word.weight * idf * self._share[having]
        return scores

    def hits(self, scores: Scores, limit: int) -> Hits:
        """The best, of equal ones the newer first."""
        order = _order(scores)[:limit]
        return [(self._refs[number], float(scores[number])) for number in order if scores[number] > 0]


def _order(scores: Scores) -> NDArray[np.intp]:
    numbers = np.arange(len(scores))
    return np.lexsort((-numbers, -scores))


def _reciprocal_ranks(scores: Scores, found: NDArray[np.bool_]) -> Scores:
    ranks = np.empty(len(scores))
    ranks[_order(scores)] = np.arange(1, len(scores) + 1)
    return np.where(found, 1 / (RRF_K + ranks), 0.0)
