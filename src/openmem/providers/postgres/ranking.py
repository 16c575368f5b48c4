"""How a search ranks: the CTEs that score a user's memories against a query. Pure.

The score is absolute, 0 to 1, the same scale from query to query::

    score   = 0.3 * nearness + 0.7 * words
    words   = said + 0.6 * around * min(1, 4 * nearness)

* ``nearness`` is the cosine similarity of the vectors, if the memory was embedded by the query's model.
* ``said`` is the share of the query that the memory's own words cover, each word weighted by its
  inverse document frequency among the memories searched: ``ln(1 + (1 + N) / (1 + n))`` for a word
  that ``n`` of ``N`` memories have. Names and rare words decide; a query that is said in full has 1.
* ``around`` is the share that is said not by the memory itself but by the two stored just before and
  after it within the same hour (of ``valid_from``, else of ``created_at``), since what is said in one
  breath belongs together. It counts as far as the memory is near the query itself.

A memory without a comparable vector is scored by ``said`` alone, a query without words by ``nearness``
alone. `docs/retrieval.md` has the measurements behind the constants.

The words of a text are the lexemes of PostgreSQL's ``english`` configuration, numbered by a hash. A
memory stores them as a sparse vector of ones. The query is turned into sparse vectors that give its
words the values 1, 2, 4, …, so that one inner product, in C, tells as a bit mask which of the query's
words a memory has. Single precision keeps `MASK_BITS` bits exactly; three masks make room for 63 words.
Memories with equal masks score alike, hence the sums are made per distinct mask, not per memory.
"""

from __future__ import annotations

from typing import Final

from .schema import TERM_NUMBERS

VECTOR_WEIGHT: Final = 0.3
WORDS_WEIGHT: Final = 0.7
AROUND_WEIGHT: Final = 0.6
AROUND_FADE: Final = 4
NEIGHBOURS: Final = 2
EPISODE: Final = "1 hour"
MASK_BITS: Final = 21
QUERY_LENGTH: Final = 20_000


def ranked_ctes(
    schema: str,
    vector_schema: str,
    candidates: str,
    *,
    query: str,
    vector: str,
    model: str,
    min_score: str,
    limit: str,
) -> str:
    """CTEs that end in ``ranked (id, created_at, score)``, the best first.

    Args:
        schema: schema of the tables.
        vector_schema: schema of pgvector.
        candidates: condition on ``m``, the memories to rank.
        query, vector, model, min_score, limit: placeholders of the parameters.
    """
    distance, product = f"OPERATOR({vector_schema}.<=>)", f"OPERATOR({vector_schema}.<#>)"
    return f"""
        term AS MATERIALIZED (
            SELECT (row_number() OVER (ORDER BY first) - 1)::int AS bit, {schema}.term_number(lexeme) AS number
            FROM (
                SELECT lexeme, positions[1] AS first
                FROM unnest(to_tsvector('pg_catalog.english', left({query}::text, {QUERY_LENGTH})))
                ORDER BY first LIMIT {3 * MASK_BITS}
            ) lexemes
        ),
        query AS MATERIALIZED (
            SELECT {vector}::float8[]::{vector_schema}.halfvec AS vector, count(*) AS terms,
                {_mask(vector_schema, 0)} AS mask_0,
                {_mask(vector_schema, 1)} AS mask_1,
                {_mask(vector_schema, 2)} AS mask_2
            FROM term
        ),
        candidate AS MATERIALIZED (
            SELECT id, created_at, nearness, own, bit_or(own) OVER (
                PARTITION BY episode ORDER BY created_at, id
                ROWS BETWEEN {NEIGHBOURS} PRECEDING AND {NEIGHBOURS} FOLLOWING
            ) & ~own AS around
            FROM (
                SELECT m.id, m.created_at,
                    date_bin('{EPISODE}', coalesce(m.valid_from, m.created_at), 'epoch') AS episode,
                    CASE WHEN m.embedding_model = {model}::text THEN
                        nullif(greatest(1 - (m.embedding {distance} (SELECT vector FROM query)), 0), 'NaN')
                    END AS nearness,
                    (-(m.terms {product} (SELECT mask_0 FROM query)))::bigint
                    | CASE WHEN (SELECT terms > {MASK_BITS} FROM query) THEN
                        (-(m.terms {product} (SELECT mask_1 FROM query)))::bigint << {MASK_BITS}
                        | (-(m.terms {product} (SELECT mask_2 FROM query)))::bigint << {2 * MASK_BITS}
                    ELSE 0 END AS own
                FROM {schema}.memories m WHERE {candidates}
                OFFSET 0
            ) valid
        ),
        pattern AS MATERIALIZED (
            SELECT own, around, count(*) AS memories FROM candidate GROUP BY own, around
        ),
        weight AS MATERIALIZED (
            SELECT 1::bigint << bit AS flag, ln(1 + (1 + sum(memories)) / (1 + coalesce(
                sum(memories) FILTER (WHERE own & (1::bigint << bit) <> 0), 0)))::float8 AS idf
            FROM term CROSS JOIN pattern GROUP BY bit
        ),
        words AS MATERIALIZED (
            SELECT own, around,
                coalesce(sum(idf) FILTER (WHERE own & flag <> 0), 0) / sum(idf) AS said,
                coalesce(sum(idf) FILTER (WHERE around & flag <> 0), 0) / sum(idf) AS said_around
            FROM pattern CROSS JOIN weight GROUP BY own, around
        ),
        scored AS (
            SELECT candidate.id, candidate.created_at, coalesce(
                {VECTOR_WEIGHT} * nearness
                    + {WORDS_WEIGHT} * (said + {AROUND_WEIGHT} * said_around * least(1, {AROUND_FADE} * nearness)),
                said, nearness, 0)::float8 AS score
            FROM candidate LEFT JOIN words USING (own, around)
        ),
        ranked AS MATERIALIZED (
            SELECT id, created_at, score
            FROM (SELECT * FROM scored ORDER BY score DESC, created_at DESC, id DESC LIMIT {limit}::bigint) best
            WHERE score > 0 AND score >= coalesce({min_score}::float8, 0)
        )
    """


def _mask(vector_schema: str, number: int) -> str:
    """The query's words from ``MASK_BITS * number`` on, as powers of two."""
    first = number * MASK_BITS
    return f"""
        ('{{' || coalesce(string_agg(number || ':' || (1 << (bit - {first})), ',')
            FILTER (WHERE bit >= {first} AND bit < {first + MASK_BITS}), '') || '}}/{TERM_NUMBERS}'
        )::{vector_schema}.sparsevec
    """
