"""How a search ranks very many memories of one user. Pure.

The scores are those of `.ranking`, reached in another way. There, all memories are read first, since how much a
word weighs depends on how many have it. Here, a sample tells that: `PARTS` runs of up to `RUN` memories, spread
evenly from the user's first to the newest. With the words' weights known, one inner product tells the share of the
query that a memory says, and only the best are kept while the others are read.

Beyond `EXACT` memories, not all are read any more, but

1. those with an ordinal up to `HEAD`,
2. those that have one of the query's rarest words: as many of the words as there are about `HITS` memories for,
3. those that have two of the next `PAIRED` words, if there are about `PAIR_HITS` at most,
4. and what is around the best of these, as in every ranking.

The share of the query that is said is found without masks, hence for any number of words. Only what a lender says and
its neighbour does not takes the two masks ``own``; of a query of more than `SCORED_WORDS` words they hold those
with the most weight among the words that the lenders have.

A GIN index finds 2 and 3. A memory that has none of this is hardly among the best, since many have more. If
too few have any, everything is read after all: that is slow, but nothing is missed.

That the index is used must not depend on how many rows the planner expects of a user: hence the ``CASE``, which
it cannot use with another index.

The index holds words salted with the user's id, so that a search meets no other user's memories, and
leaves out the memories up to `HEAD`, so that most users' writes never touch it. A vector index
is not used: words decide the first places (nearness is worth 0.35 at most), and an HNSW index over many
users costs every insertion several times what the rest of it does. See `docs/retrieval.md`.
"""

from __future__ import annotations

import math
from typing import Final

from ...ranking.constants import EXACT_SCAN_LIMIT, NEIGHBOR_DISTANCE, QUESTION_FACTOR, SEEDS
from .ranking import QUESTION, SPEAKER, Ranking, flag, has_bit, score, weight
from .schema import HEAD

EXACT: Final = EXACT_SCAN_LIMIT
HITS: Final = 300
PAIRED: Final = 3
PAIR_HITS: Final = 300
PARTS: Final = 16
RUN: Final = 24
IS_QUESTION: Final = 2


def of_many(ranking: Ranking) -> str:
    """CTEs like those of `Ranking.of_few`, for a user who has more."""
    r = ranking
    of_user = f"FROM {r.memories} m WHERE {r.of_user}"
    searched = f"{of_user} AND {r.searched}"
    words = f"{r.schema}.word_keys(m.user_id, m.content, {r.at})"
    with_both = " OR ".join(
        f"{words} @> (SELECT keys FROM pair WHERE number = {number + 1})" for number in range(math.comb(PAIRED, 2))
    )
    hits = f"""
        FROM {r.memories} m
        WHERE m.ordinal > {HEAD} AND ({words} && ARRAY(SELECT key FROM rare WHERE suffices) OR {with_both})
            AND {r.in_bucket}
            AND CASE WHEN m.user_id = {r.user}::text THEN {r.searched} END
    """
    others = f"""
        {searched} AND m.ordinal <= (SELECT CASE WHEN yes THEN {HEAD} ELSE newest END FROM enough CROSS JOIN span)
    """
    words = f"(SELECT * FROM term_weight WHERE bit <> {SPEAKER})"
    around = f"""LATERAL (
        SELECT id, ordinal, at, nearness, own, {_share()} AS said
        FROM (
            SELECT {r.measured}, {_found(r)} AS found {searched} AND m.ordinal <> lender.ordinal
                AND m.ordinal >= lender.ordinal - {NEIGHBOR_DISTANCE}
                AND m.ordinal <= lender.ordinal + {NEIGHBOR_DISTANCE} OFFSET 0
        ) near
    ) m"""
    return f"""
        {r.query_words},
        outgrown AS MATERIALIZED (SELECT false AS yes),
        span AS MATERIALIZED (
            SELECT first, newest, newest - first + 1 AS memories, (newest - first) / {PARTS} + 1 AS part
            FROM (SELECT m.ordinal AS first {of_user} ORDER BY m.ordinal LIMIT 1) oldest,
                (SELECT m.ordinal AS newest {of_user} ORDER BY m.ordinal DESC LIMIT 1) newest
        ),
        sample AS MATERIALIZED (
            SELECT m.terms FROM span CROSS JOIN generate_series(first, newest, part) AS start CROSS JOIN LATERAL (
                SELECT m.terms {searched} AND m.ordinal >= start AND m.ordinal < start + part
                ORDER BY m.ordinal LIMIT {RUN}
            ) m
        ),
        {r.all_mask},
        sample_count AS MATERIALIZED ({r.mask_counts("sample m")}),
        counted AS MATERIALIZED (
            SELECT t.bit, number, coalesce(sum(c.memories), 0) AS memories,
                (SELECT count(*)::float8 FROM sample) AS total
            FROM (SELECT bit, number FROM term UNION ALL SELECT {SPEAKER}, NULL WHERE EXISTS (SELECT FROM term)) t
            LEFT JOIN sample_count c ON {has_bit("t", "c")}
            GROUP BY t.bit, number
        ),
        term_weight AS MATERIALIZED (
            SELECT bit, number, {weight("bit", "memories", "total")} AS weight FROM counted
        ),
        wanted AS MATERIALIZED (
            SELECT {r.compared("number", "value")} AS words
            FROM (
                SELECT number, coalesce(sum(weight) / (SELECT sum(weight) FROM term_weight), 0)
                    + {IS_QUESTION} * max((bit = {QUESTION})::int) AS value
                FROM ({r.entries("SELECT number, bit FROM term")}) entries
                LEFT JOIN (SELECT bit, weight FROM term_weight) weights USING (bit)
                GROUP BY number
            ) valued
        ),
        rare AS MATERIALIZED (
            SELECT {r.schema}.word_key({r.user}::text, number) AS key, expected, row_number() OVER rarest AS place,
                row_number() OVER rarest = 1 OR sum(expected) OVER rarest <= {HITS} AS suffices
            FROM (
                SELECT bit, number, counted.memories * span.memories / greatest(total, 1) + 1 AS expected
                FROM counted CROSS JOIN span WHERE number IS NOT NULL AND span.memories > {EXACT}
            ) words
            WINDOW rarest AS (ORDER BY expected, bit)
        ),
        less_rare AS (SELECT * FROM rare WHERE NOT suffices ORDER BY place LIMIT {PAIRED}),
        pair AS MATERIALIZED (
            SELECT ARRAY[one.key, other.key] AS keys, row_number() OVER () AS number
            FROM less_rare one JOIN less_rare other ON one.place < other.place CROSS JOIN span
            WHERE one.expected * other.expected / span.memories <= {PAIR_HITS}
        ),
        hit AS MATERIALIZED ({_best(r, hits)}),
        enough AS MATERIALIZED (SELECT count(*) >= {r.most} AS yes FROM hit),
        other AS MATERIALIZED ({_best(r, others)}),
        top AS MATERIALIZED (
            SELECT * FROM other UNION ALL SELECT * FROM hit WHERE (SELECT yes FROM enough)
            ORDER BY score DESC, id DESC LIMIT {r.most}
        ),
        lending AS (SELECT * FROM top ORDER BY score DESC, id DESC LIMIT {SEEDS}),
        top_count AS MATERIALIZED ({r.mask_counts("lending m", "(SELECT is_long FROM query)")}),
        scored AS MATERIALIZED (
            {r.scored(words, "top_count", order="weight DESC", further=", weight")}
        ),
        {r.own_mask},
        weight AS MATERIALIZED (
            SELECT {flag("bit")} AS flag, sum(weight) AS weight
            FROM (
                SELECT bit, weight FROM scored UNION ALL SELECT bit, weight FROM term_weight WHERE bit = {SPEAKER}
            ) weighted
            GROUP BY bit
        ),
        best AS MATERIALIZED (
            SELECT id, ordinal, at, nearness, own, {_share()} AS said, score
            FROM (SELECT m.*, {r.own} AS own FROM top m OFFSET 0) best
        ),
        {r.ranked(around)}
    """


def _found(r: Ranking) -> str:
    """The share of the query that a memory ``m`` says, and `IS_QUESTION` more if it is a question."""
    return f"m.terms OPERATOR({r.vector_schema}.<#>) (SELECT words FROM wanted)"


def _share(is_question: str = f"(own >> {QUESTION} & 1)") -> str:
    """The share of the query in ``found``; null for a query without words."""
    return f"(found - {IS_QUESTION} * {is_question} + (SELECT CASE WHEN terms > 0 THEN 0 END FROM query))"


def _best(r: Ranking, memories: str) -> str:
    """The best of some memories by what is their own. While they are read, no more than these are kept."""
    statement, question = _share("0"), _share("1")
    return f"""
        SELECT id, ordinal, at, nearness, terms, found, CASE WHEN found < {IS_QUESTION}
            THEN {score("nearness", statement, statement)}
            ELSE {score("nearness", question, question)} * {QUESTION_FACTOR}::float8 END AS score
        FROM (
            SELECT m.id, m.ordinal, {r.at} AS at, {r.nearness} AS nearness, m.terms, {_found(r)} AS found
            {memories}
            OFFSET 0
        ) m
        ORDER BY score DESC, id DESC LIMIT {r.most}
    """
