"""How a search ranks: the CTEs that score a user's memories against a query. Pure.

The score is absolute, 0 to 1, the same scale from query to query::

    score   = 0.4 * meaning + 0.6 * words, a tenth less if the memory is a question
    meaning = (nearness + the mean nearness of the memory and those around it) / 2
    words   = said + 0.6 * around * min(1, 4 * nearness)

* ``nearness`` is the cosine similarity of the vectors, if the memory was embedded by the query's model.
* ``said`` is the share of the query that the memory's own words cover, each word weighted by its
  inverse document frequency among the memories searched: ``ln(1 + (1 + N) / (1 + n))`` for a word
  that ``n`` of ``N`` memories have. Names and rare words decide; a query that is said in full has 1.
  To a memory's own words belong the day, month and year (UTC) it is from. That a query names the speaker
  of a memory like ``Maya: I moved to Porto`` counts as one word more, of `SPEAKER_WEIGHT`.
* ``around`` is the share that is said not by the memory itself but by the two stored just before and
  after it within the same hour (of ``valid_from``, else of ``created_at``), since what is said in one
  breath belongs together. It counts as far as the memory is near the query itself.

A memory without a comparable vector is scored by ``said`` alone, a query without words by ``nearness``
alone. `docs/retrieval.md` has the measurements behind the constants.

The words of a text are the lexemes of PostgreSQL's ``english`` configuration, numbered by a hash. A
memory stores them as a sparse vector of ones, and its speaker and that it is a question as two words more. The
query is turned into sparse vectors that give its
words the values 4, 8, 16, …, so that one inner product, in C, tells as a bit mask which of the query's
words a memory has. The first bit tells that the query names the speaker, the second that the memory is a
question. Single precision keeps `MASK_BITS` bits exactly; three masks make room for 61 words.
Memories with equal masks score alike, hence the sums are made per distinct mask, not per memory.

A user's memories are all ranked as long as there are at most about `EXACT` of them. Beyond that, the
ranking is of candidates that indexes find; see `.candidates`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .schema import TERM_NUMBERS

VECTOR_WEIGHT: Final = 0.4
WORDS_WEIGHT: Final = 0.6
SPEAKER_WEIGHT: Final = 1.5
QUESTION_FACTOR: Final = 0.9
SMOOTHING: Final = 0.5
AROUND_WEIGHT: Final = 0.6
AROUND_FADE: Final = 4
NEIGHBOURS: Final = 2
EPISODE: Final = "1 hour"
MASK_BITS: Final = 21
SPEAKER: Final = 0
QUESTION: Final = 1
FIRST_WORD: Final = 2
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
                SELECT {IN_CONTEXT}
                FROM (
                    SELECT {self.measured} FROM {self.memories} m
                    WHERE {self.of_user} AND {self.searched} AND NOT (SELECT yes FROM outgrown)
                    OFFSET 0
                ) valid
                WINDOW near AS ({near("ORDER BY ordinal, id ROWS")})
            ),
            pattern AS MATERIALIZED (
                SELECT own, around, count(*) AS memories FROM candidate GROUP BY own, around
            ),
            weight AS MATERIALIZED (
                SELECT {flag("bit")} AS flag, {weight("bit", "memories", "total")} AS weight
                FROM (
                    SELECT bit, {having("bit", "memories")} AS memories, sum(memories) AS total
                    FROM weighted CROSS JOIN pattern GROUP BY bit
                ) counted
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
        """What memories are compared with.

        ``term (bit, number, speaker)`` are the words of the query, ``weighted (bit, number)`` the bits that count, and
        ``query`` has the vector and the masks.
        """
        return f"""
            term AS MATERIALIZED (
                SELECT (row_number() OVER (ORDER BY first) + {FIRST_WORD - 1})::int AS bit,
                    {self.schema}.term_number(lexeme) AS number,
                    {self.schema}.term_number(lexeme || ':') AS speaker
                FROM (
                    SELECT lexeme, positions[1] AS first
                    FROM unnest(to_tsvector('pg_catalog.english', left({self.query}::text, {QUERY_LENGTH})))
                    ORDER BY first LIMIT {3 * MASK_BITS - FIRST_WORD}
                ) lexemes
            ),
            weighted AS MATERIALIZED (
                SELECT bit, number FROM term UNION ALL SELECT {SPEAKER}, NULL WHERE EXISTS (SELECT FROM term)
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
        """The words with the bits from ``MASK_BITS * number`` on, as powers of two; the first has all other bits."""
        first = number * MASK_BITS
        entries = f"""
            string_agg(number || ':' || (1 << (bit - {first})), ',')
                FILTER (WHERE bit >= {first} AND bit < {first + MASK_BITS})
        """
        if number == 0:
            question = f"{self.schema}.term_number('?') || ':{1 << QUESTION}'"
            entries = f"concat_ws(',', {entries}, string_agg(speaker || ':{1 << SPEAKER}', ','), {question})"
        return f"('{{' || coalesce({entries}, '') || '}}/{TERM_NUMBERS}')::{self.vector_schema}.sparsevec"

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
            | CASE WHEN (SELECT terms > {MASK_BITS - FIRST_WORD} FROM query) THEN {found(1)} | {found(2)} ELSE 0 END
        """

    @property
    def scores(self) -> str:
        """From ``candidate``, its ``pattern`` of masks, and the ``weight`` of each word to ``ranked``."""
        meaning = f"({1 - SMOOTHING} * nearness + {SMOOTHING} * nearness_around)"
        words = f"(said + {AROUND_WEIGHT} * said_around * least(1, {AROUND_FADE} * nearness))"
        return f"""
            words AS MATERIALIZED (
                SELECT own, around, {share("own")} AS said, {share("around")} AS said_around
                FROM pattern CROSS JOIN weight GROUP BY own, around
            ),
            scored AS (
                SELECT candidate.id, candidate.created_at,
                    coalesce({VECTOR_WEIGHT} * {meaning} + {WORDS_WEIGHT} * {words}, said, nearness, 0)::float8
                    * CASE WHEN own & {1 << QUESTION} <> 0 THEN {QUESTION_FACTOR} ELSE 1 END AS score
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


IN_CONTEXT: Final = f"""
    id, created_at, nearness, own, sum(nearness) OVER near / count(*) OVER near AS nearness_around,
    bit_or(own) OVER near & ~(own | {(1 << FIRST_WORD) - 1}) AS around
"""
"""The columns of ``candidate``, from measured memories and the window of `near`."""


def near(frame: str) -> str:
    """The window of a measured memory's neighbours."""
    return f"PARTITION BY episode {frame} BETWEEN {NEIGHBOURS} PRECEDING AND {NEIGHBOURS} FOLLOWING"


def flag(bit: str) -> str:
    """The mask of one word."""
    return f"(1::bigint << {bit})"


def having(bit: str, count: str) -> str:
    """The sum of `count` over the masks ``own`` that have a word."""
    return f"coalesce(sum({count}) FILTER (WHERE own & {flag(bit)} <> 0), 0)"


def weight(bit: str, memories: str, total: str) -> str:
    """The weight of a word that so many of the memories have."""
    factor = f"CASE WHEN {bit} <> {SPEAKER} THEN 1 WHEN {memories} > 0 THEN {SPEAKER_WEIGHT} ELSE 0 END"
    return f"({factor} * ln(1 + (1 + {total}) / (1 + {memories})))::float8"


def share(mask: str) -> str:
    """The share of the query that a mask covers, in a group of all words' weights."""
    return f"coalesce(sum(weight) FILTER (WHERE {mask} & flag <> 0), 0) / sum(weight)"
