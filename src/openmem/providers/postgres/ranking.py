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

A user's memories are all ranked as long as there are at most about `EXACT` of them. Beyond that, the
ranking is of candidates that indexes find; see `.candidates`.
"""

from __future__ import annotations

from dataclasses import dataclass
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
EXACT: Final = 4_000


@dataclass(frozen=True, slots=True)
class Ranking:
    """The parts of a search's SQL that rank.

    Attributes:
        schema: schema of the tables.
        vector_schema: schema of pgvector.
        in_bucket: condition on ``m``, a memory, to be in the user's bucket.
        searched: condition on ``m`` to be among those searched.
        user, query, vector, model, min_score, limit: placeholders of the parameters.
    """

    schema: str
    vector_schema: str
    in_bucket: str
    searched: str
    user: str
    query: str
    vector: str
    model: str
    min_score: str
    limit: str

    def exact(self) -> str:
        """CTEs that rank all of a user's memories, unless there are too many.

        They end in ``ranked (id, created_at, score)``, the best first, and ``outgrown (yes)``, which
        tells whether this user has outgrown the exact ranking. Nothing is ranked then.
        """
        return f"""
            {self.query_words},
            outgrown AS MATERIALIZED (
                SELECT EXISTS (SELECT FROM {self.memories} m WHERE {self.of_user} AND m.ordinal > {EXACT}) AS yes
            ),
            candidate AS MATERIALIZED (
                SELECT id, created_at, nearness, own, {around("ORDER BY ordinal, id ROWS")} AS around
                FROM (
                    SELECT {self.measured} FROM {self.memories} m
                    WHERE {self.of_user} AND {self.searched} AND NOT (SELECT yes FROM outgrown)
                    OFFSET 0
                ) valid
            ),
            pattern AS MATERIALIZED (
                SELECT own, around, count(*) AS memories FROM candidate GROUP BY own, around
            ),
            weight AS MATERIALIZED (
                SELECT {flag("bit")} AS flag, {idf(having("bit", "memories"), "sum(memories)")} AS idf
                FROM term CROSS JOIN pattern GROUP BY bit
            ),
            {self.scores}
        """

    @property
    def memories(self) -> str:
        """The table."""
        return f"{self.schema}.memories"

    @property
    def of_user(self) -> str:
        """Condition on ``m`` to be one of the user's."""
        return f"{self.in_bucket} AND m.user_id = {self.user}::text"

    @property
    def query_words(self) -> str:
        """``term (bit, number)``, the words of the query, and ``query``, what memories are compared with."""
        return f"""
            term AS MATERIALIZED (
                SELECT (row_number() OVER (ORDER BY first) - 1)::int AS bit, {self.schema}.term_number(lexeme) AS number
                FROM (
                    SELECT lexeme, positions[1] AS first
                    FROM unnest(to_tsvector('pg_catalog.english', left({self.query}::text, {QUERY_LENGTH})))
                    ORDER BY first LIMIT {3 * MASK_BITS}
                ) lexemes
            ),
            query AS MATERIALIZED (
                SELECT {self.vector}::float8[]::{self.vector_schema}.halfvec AS vector, count(*) AS terms,
                    {self._mask(0)} AS mask_0,
                    {self._mask(1)} AS mask_1,
                    {self._mask(2)} AS mask_2
                FROM term
            )
        """

    def _mask(self, number: int) -> str:
        """The query's words from ``MASK_BITS * number`` on, as powers of two."""
        first = number * MASK_BITS
        return f"""
            ('{{' || coalesce(string_agg(number || ':' || (1 << (bit - {first})), ',')
                FILTER (WHERE bit >= {first} AND bit < {first + MASK_BITS}), '') || '}}/{TERM_NUMBERS}'
            )::{self.vector_schema}.sparsevec
        """

    @property
    def measured(self) -> str:
        """What the ranking needs to know of a memory ``m``."""
        return f"""
            m.id, m.created_at, m.ordinal,
            date_bin('{EPISODE}', coalesce(m.valid_from, m.created_at), 'epoch') AS episode,
            {self.nearness} AS nearness, {self.own} AS own
        """

    @property
    def nearness(self) -> str:
        """The cosine similarity of a memory ``m``, not below 0; null if the models differ."""
        distance = f"m.embedding OPERATOR({self.vector_schema}.<=>) (SELECT vector FROM query)"
        return f"CASE WHEN m.embedding_model = {self.model}::text THEN nullif(greatest(1 - ({distance}), 0), 'NaN') END"

    @property
    def own(self) -> str:
        """The bit mask of the query's words that a memory ``m`` has."""

        def found(number: int) -> str:
            product = f"m.terms OPERATOR({self.vector_schema}.<#>) (SELECT mask_{number} FROM query)"
            return f"(-({product}))::bigint << {number * MASK_BITS}"

        return f"""
            {found(0)}
            | CASE WHEN (SELECT terms > {MASK_BITS} FROM query) THEN {found(1)} | {found(2)} ELSE 0 END
        """

    @property
    def scores(self) -> str:
        """From ``candidate``, its ``pattern`` of masks, and the ``weight`` of each word to ``ranked``."""
        words = f"(said + {AROUND_WEIGHT} * said_around * least(1, {AROUND_FADE} * nearness))"
        return f"""
            words AS MATERIALIZED (
                SELECT own, around, {share("own")} AS said, {share("around")} AS said_around
                FROM pattern CROSS JOIN weight GROUP BY own, around
            ),
            scored AS (
                SELECT candidate.id, candidate.created_at, coalesce(
                    {VECTOR_WEIGHT} * nearness + {WORDS_WEIGHT} * {words}, said, nearness, 0)::float8 AS score
                FROM candidate LEFT JOIN words USING (own, around)
            ),
            ranked AS MATERIALIZED (
                SELECT id, created_at, score
                FROM (
                    SELECT * FROM scored ORDER BY score DESC, created_at DESC, id DESC LIMIT {self.limit}::bigint
                ) best
                WHERE score > 0 AND score >= coalesce({self.min_score}::float8, 0)
            )
        """


def around(frame: str) -> str:
    """The words that the neighbours of a measured memory have and the memory itself has not."""
    near = f"{frame} BETWEEN {NEIGHBOURS} PRECEDING AND {NEIGHBOURS} FOLLOWING"
    return f"bit_or(own) OVER (PARTITION BY episode {near}) & ~own"


def flag(bit: str) -> str:
    """The mask of one word."""
    return f"(1::bigint << {bit})"


def having(bit: str, count: str) -> str:
    """The sum of `count` over the masks ``own`` that have a word."""
    return f"coalesce(sum({count}) FILTER (WHERE own & {flag(bit)} <> 0), 0)"


def idf(memories: str, total: str) -> str:
    """The weight of a word that so many of the memories have."""
    return f"ln(1 + (1 + {total}) / (1 + {memories}))::float8"


def share(mask: str) -> str:
    """The share of the query that a mask covers, in a group of all words' weights."""
    return f"coalesce(sum(idf) FILTER (WHERE {mask} & flag <> 0), 0) / sum(idf)"
