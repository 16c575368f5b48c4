"""The constants of the ranking, from which the reference, the SQL and the documentation take them.

A memory's score is between 0 and 1, the same scale for every query. What a search returns is `scale.scaled` of it::

    score        = (own_score + boost) * (QUESTION_FACTOR if the memory is a question else 1)
                   * (1 - RECENCY_SHARE * (1 - 0.5 ** (age / half_life)) if the caller gives a half-life else 1)
    own_score    = VECTOR_WEIGHT * similarity + WORDS_WEIGHT * coverage
    boost        = boost_factor * (VECTOR_WEIGHT * GAP_SHARE * max(0, the seed's similarity - similarity)
                                   + WORDS_WEIGHT * NEIGHBOR_WEIGHT * new_coverage)
    boost_factor = min(1, NEIGHBOR_DECAY * max(0, 1 - distance / min(1, NEIGHBOR_REACH_FACTOR * reach)))
                   * min(1, max(0, autocorrelation / SERIES_AUTOCORRELATION)) for two memories that were stored at once

    similarity   = max(1 - distance / reach, DISTANT_SIMILARITY * (1 - distance / 2))
    reach        = REACH_FACTOR * (1 - the cosine that the model gives the query and unrelated texts), MIN_REACH to 1

``distance`` is 1 less the cosine of two vectors, ``coverage`` the share of the query's words that a memory has, and
``new_coverage`` the share that the seed has and the memory does not. ``autocorrelation`` tells whether what is next
to a seed is more like the query than other memories are. `docs/retrieval.md` has the measurements.
"""

from __future__ import annotations

from typing import Final

VECTOR_WEIGHT: Final = 0.35
"""The weight of the similarity of the vectors in a score. With `WORDS_WEIGHT` it adds up to 1."""

WORDS_WEIGHT: Final = 0.65
"""The weight of the coverage of the query's words in a score."""

REACH_FACTOR: Final = 1.2
"""The reach of a query in distances to unrelated texts. More than 1, since those are not all equally far away."""

DISTANT_SIMILARITY: Final = 0.02
"""The most that a memory beyond the reach of a query may have, so that the nearest of those come first, too, and a
search returns as many memories as there are."""

MIN_REACH: Final = 0.02
"""The least reach of a query: also a model that finds all texts alike gives the same text the similarity 1."""

SCALE_EXPONENT: Final = 2.5
"""How steep the scale of scores is in its middle; see `openmem.ranking.scale`."""

SCALE_HALF: Final = 0.32
"""The score of the ranking that is a little more than .5 on the scale."""

SPEAKER_WEIGHT: Final = 1.5
"""The weight of the query naming the speaker of a memory, in weights of a word that as many memories have."""

QUESTION_FACTOR: Final = 0.85
"""The share of its score that a memory keeps which ends in a question mark."""

RECENCY_SHARE: Final = 0.15
"""The share of its score that a very old memory loses. One as old as the half-life of the caller loses half of it."""

OLDEST_HALF_LIVES: Final = 100
"""Older memories count as of this age, in half-lives. It only keeps numbers from becoming too small."""

SEEDS: Final = 30
"""How many memories boost their neighbors: those with the best scores of their own."""

NEIGHBOR_DISTANCE: Final = 2
"""How many memories before a seed, and how many after it, are its neighbors, in the order in which they were added."""

NEIGHBOR_GAP_SECONDS: Final = 3600
"""A seed and its neighbor are from moments that are less than this apart."""

STORED_AT_ONCE_SECONDS: Final = 1
"""Two memories of which not both have a date were stored at once if their moments are less than this apart."""

SERIES_AUTOCORRELATION: Final = 0.1
"""The autocorrelation of similarities from which memories that were stored at once boost each other in full."""

NEIGHBOR_WEIGHT: Final = 0.6
"""The share of a seed's coverage that its neighbor is given."""

NEIGHBOR_DECAY: Final = 4.0
"""How fast a boost decays with a neighbor's distance from the query: it is whole up to all but 1 / this of the distance
at which there is none."""

NEIGHBOR_REACH_FACTOR: Final = 1.3
"""The distance, in reaches of the query, at which a neighbor gets no boost, if that is not more than 1. A neighbor may
be as far away as some unrelated texts are, since it belongs to a seed that is near."""

GAP_SHARE: Final = 0.9
"""The share of the gap to a better seed that a boost closes at most, so that a memory stays behind its seed."""

MAX_QUERY_CHARACTERS: Final = 20_000
"""The length of the text of which words are compared. Of a longer query its first and its last half of that are."""

MAX_QUERY_LEXEMES: Final = 60
"""How many lexemes of a query count. Of more, those of the rarest words do that any of the user's memories has."""

MAX_ALTERNATIVES: Final = 20
"""How many alternatives of a word are compared: the first."""

EXACT_SCAN_LIMIT: Final = 1_000
"""Up to which sequence number of a user's newest memory all of the user's memories are compared with a query."""
