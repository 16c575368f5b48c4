"""How a search finds what to rank among very many memories of one user. Pure.

Up to some thousand memories, all of a user's are ranked (`.ranking`): nothing is missed, and it is as
fast as an index. Beyond that, these are, in one statement:

1. The user's first `HEAD` memories. They also are the sample that tells how many memories have each of the
   query's words.
2. Those that have one of the query's rarest words: as many of the words as there are about `HITS` memories for. A
   GIN index finds them.
3. What is around the best of these, as in every ranking.

A memory that has none of the rare words cannot be among the best, since a few memories have more. If
too few have any, everything is ranked after all: that is slow, but nothing is missed.

That the index is used must not depend on how many rows the planner expects of a user: hence the ``CASE``, which
it cannot use with another index.

The index holds words salted with the user's id, so that a search meets no other user's memories, and
leaves out the first `HEAD` memories of each user, so that most users' writes never touch it. A vector index
is not used: words decide the first places (nearness is worth 0.35 at most), and an HNSW index over many
users costs every insertion several times what the rest of it does. See `docs/retrieval.md`.
"""

from __future__ import annotations

from typing import Final

from .ranking import Ranking, flag, having, patterns, weight
from .schema import HEAD

HITS: Final = 2_500
ENOUGH: Final = 50


def found(ranking: Ranking) -> str:
    """CTEs like those of `Ranking.exact`, for a user who has outgrown it."""
    r = ranking
    in_order = f"FROM {r.memories} m WHERE {r.of_user} ORDER BY m.ordinal"
    around = f"""LATERAL (
        SELECT {r.measured} FROM {r.memories} m
        WHERE {r.of_user} AND {r.searched} AND m.ordinal = lender.ordinal + step OFFSET 0
    ) m"""
    estimate = f"sampled.memories * size.memories / {HEAD}"
    return f"""
        {r.query_words},
        outgrown AS MATERIALIZED (SELECT false AS yes),
        head AS MATERIALIZED (
            SELECT {r.measured} FROM (SELECT m.* {in_order} LIMIT {HEAD}) m WHERE {r.searched} OFFSET 0
        ),
        size AS MATERIALIZED (
            SELECT head_end, {HEAD} + newest - head_end AS memories
            FROM (SELECT m.ordinal AS head_end {in_order} OFFSET {HEAD - 1} LIMIT 1) sample,
                (SELECT m.ordinal AS newest {in_order} DESC LIMIT 1) last
        ),
        head_pattern AS MATERIALIZED ({patterns("head")}),
        sampled AS MATERIALIZED (
            SELECT bit, number, {having("bit", "memories")} AS memories
            FROM weighted LEFT JOIN head_pattern ON true GROUP BY bit, number
        ),
        chosen AS MATERIALIZED (
            SELECT bit, number
            FROM (
                SELECT bit, number, sum({estimate} + 1) OVER rarest AS hits, row_number() OVER rarest AS place
                FROM sampled CROSS JOIN size WHERE number IS NOT NULL WINDOW rarest AS (ORDER BY sampled.memories, bit)
            ) rare
            WHERE place = 1 OR hits <= {HITS}
        ),
        hit AS MATERIALIZED (
            SELECT {r.measured} FROM {r.memories} m
            WHERE m.ordinal > {HEAD}
                AND {r.schema}.word_keys(m.user_id, m.content, coalesce(m.valid_from, m.created_at))
                    && ARRAY(SELECT {r.schema}.word_key({r.user}::text, number) FROM chosen)
                AND {r.in_bucket}
                AND CASE WHEN m.user_id = {r.user}::text AND {r.searched}
                    THEN m.ordinal > (SELECT head_end FROM size) END
            OFFSET 0
        ),
        hit_pattern AS MATERIALIZED ({patterns("hit")}),
        enough AS MATERIALIZED (SELECT count(*) >= greatest({ENOUGH}, {r.limit}::bigint) AS yes FROM hit),
        rest AS MATERIALIZED (
            SELECT {r.measured} FROM {r.memories} m
            WHERE {r.of_user} AND {r.searched} AND m.ordinal > (SELECT head_end FROM size)
                AND NOT (SELECT yes FROM enough)
        ),
        measured AS (
            SELECT * FROM head
            UNION ALL SELECT * FROM hit WHERE (SELECT yes FROM enough)
            UNION ALL SELECT * FROM rest
            UNION ALL {r.none_of_many}
        ),
        pattern AS MATERIALIZED (
            SELECT own FROM head_pattern UNION SELECT own FROM hit_pattern UNION SELECT own FROM rest
        ),
        weight AS MATERIALIZED (
            SELECT {flag("bit")} AS flag, {weight("bit", "memories", "total")} AS weight
            FROM (
                SELECT sampled.bit, coalesce(size.memories, (SELECT count(*) FROM head))::float8 AS total, CASE
                    WHEN size.memories IS NULL THEN sampled.memories
                    WHEN chosen.bit IS NULL THEN {estimate}
                    ELSE sampled.memories + (SELECT {having("sampled.bit", "memories")} FROM hit_pattern)
                END AS memories
                FROM sampled LEFT JOIN size ON true LEFT JOIN chosen USING (bit)
            ) counted
        ),
        {r.scores(around)}
    """
