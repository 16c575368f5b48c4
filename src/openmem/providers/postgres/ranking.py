"""How a search ranks: the CTEs that score a user's memories against a query. Pure.

The score is absolute, 0 to 1, the same scale from query to query::

    score   = 0.35 * meaning + 0.65 * words, 0.85 of it if the memory is a question
    meaning = nearness + lent * 0.9 * max(0, nearness around - nearness)
    words   = said + lent * 0.6 * said around
    lent    = min(1, 4 * nearness)

* ``nearness`` is the cosine similarity of the vectors, if the memory was embedded by the query's model.
* ``said`` is the share of the query that the memory's own words cover, each word weighted by its
  inverse document frequency among the memories searched: ``ln(1 + (1 + N) / (1 + n))`` for a word
  that ``n`` of ``N`` memories have. Names and rare words decide; a query that is said in full has 1.
  To a memory's own words belong the day, month and year (UTC) it is from. That a query names the speaker
  of a memory like ``Maya: I moved to Porto`` counts as one word more, of `SPEAKER_WEIGHT`.
* *Around* a memory are the two stored just before and after it within the same hour (of ``valid_from``,
  else of ``created_at``), since what is said in one breath belongs together. One of them lends it what it
  has, if it is a good answer itself: among the `SEEDS` best by what is their own. ``nearness around``
  is the lender's, ``said around`` the share of the query that the lender covers and the memory does not. Both count
  as far as the memory is near the query itself. Of several lenders the one counts with whom the score is best.
  Whatever it lends, the memory stays behind it: see `Ranking.ranked`.

Hence the ranking takes two steps. All memories are scored by what is their own, and the best of them lend to
those around them, which are scored again. Since lending only raises a score, no other memory can be among the best.

A memory without a comparable vector is scored by ``said`` alone, a query without words by ``nearness``
alone. `docs/retrieval.md` has the measurements behind the constants.

The words of a text are the lexemes of PostgreSQL's ``english`` configuration, numbered by a hash. A
memory stores them as a sparse vector of ones, and its speaker and that it is a question as two words more. The
query is turned into sparse vectors that give its
words the values 4, 8, 16, …, so that one inner product, in C, tells as a bit mask which of the query's
words a memory has. The first bit tells that the query names the speaker, the second that the memory is a
question. Single precision keeps `MASK_BITS` bits exactly; `MASKS` masks make room for `SCORED_WORDS` words.
Memories with equal masks say the same share of the query, hence that is computed per distinct mask, not per memory.

A query of more words is compared twice: first by as many masks as it takes, which only count how many memories
have each word, then by the masks of the rarest words that any memory has. The words that none has need no bit to count
as not said. The words beyond, the most common ones, do not count.

This is the ranking of up to about `EXACT_SCAN_LIMIT` memories of a user, which are all held in the server's memory
for a moment. How more are ranked is in `.candidates`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from ...ranking.constants import (
    EXACT_SCAN_LIMIT,
    GAP_SHARE,
    MAX_QUERY_CHARACTERS,
    NEIGHBOR_DECAY,
    NEIGHBOR_DISTANCE,
    NEIGHBOR_WEIGHT,
    NEIGHBOR_WINDOW_SECONDS,
    QUESTION_FACTOR,
    SEEDS,
    SPEAKER_WEIGHT,
    VECTOR_WEIGHT,
    WORDS_WEIGHT,
)
from .schema import TERM_NUMBERS

MASK_BITS: Final = 21
SPEAKER: Final = 0
QUESTION: Final = 1
FIRST_WORD: Final = 2
MASKS: Final = 3
NO_BIT: Final = MASKS * MASK_BITS
SCORED_WORDS: Final = NO_BIT - FIRST_WORD


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

    def of_few(self) -> str:
        """CTEs that rank a user's memories, unless there are too many for this.

        They end in ``ranked (id, score)``, the best first, and ``outgrown (yes)``, which
        tells whether there are. Nothing is ranked then.
        """
        searched = f"{self.of_user} AND {self.searched} AND NOT (SELECT yes FROM outgrown)"
        steps = ", ".join(f"({step})" for step in range(-NEIGHBOR_DISTANCE, NEIGHBOR_DISTANCE + 1) if step)
        around = f"""
            (VALUES {steps}) AS steps (step)
            JOIN (measured JOIN coverage USING (own)) m ON m.ordinal = lender.ordinal + step
        """
        return f"""
            {self.query_words},
            outgrown AS MATERIALIZED (
                SELECT EXISTS (
                    SELECT FROM {self.memories} m WHERE {self.of_user} AND m.ordinal > {EXACT_SCAN_LIMIT}
                ) AS yes
            ),
            {self.all_mask},
            mask_count AS MATERIALIZED (
                {self.mask_counts(f"{self.memories} m", f"{searched} AND (SELECT is_long FROM query)")}
            ),
            scored AS MATERIALIZED ({self.scored("term", "mask_count", order="memories")}),
            {self.own_mask},
            weighted AS MATERIALIZED (
                SELECT bit, 1 AS words FROM scored WHERE bit < {NO_BIT}
                UNION ALL SELECT {SPEAKER}, 1 WHERE EXISTS (SELECT FROM term)
                UNION ALL SELECT {NO_BIT}, count(*) FROM scored WHERE bit = {NO_BIT} AND memories IS NULL
                    HAVING count(*) > 0
            ),
            measured AS MATERIALIZED (
                SELECT {self.measured} FROM {self.memories} m
                WHERE {searched}
                UNION ALL {self.none_of_many}
            ),
            pattern AS MATERIALIZED ({patterns("measured")}),
            weight AS MATERIALIZED (
                SELECT {flag("bit")} AS flag, words * {weight("bit", "memories", "total")} AS weight
                FROM (
                    SELECT bit, words, (SELECT coalesce(sum(memories), 0) FROM pattern) AS total,
                        (SELECT coalesce(sum(memories), 0) FROM pattern WHERE own & {flag("bit")} <> 0) AS memories
                    FROM weighted OFFSET 0
                ) counted
            ),
            coverage AS MATERIALIZED (
                SELECT own, {share("own")} AS said FROM pattern
            ),
            best AS MATERIALIZED (
                SELECT id, ordinal, at, nearness, own, said, {score("nearness", "said")} * {factor()} AS score
                FROM measured JOIN coverage USING (own)
                ORDER BY score DESC, id DESC LIMIT {self.most}
            ),
            {self.ranked(around)}
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

        ``term (bit, number, speaker)`` are the words of the query, in their order; ``query`` has the vector,
        how many words there are, and whether they are more than the masks of a memory hold.
        """
        return f"""
            term AS MATERIALIZED (
                SELECT (place + {FIRST_WORD - 1})::int AS bit,
                    {self.schema}.term_number(lexeme) AS number,
                    {self.schema}.term_number(lexeme || ':') AS speaker
                FROM unnest(ARRAY(
                    SELECT lexeme FROM unnest(to_tsvector('pg_catalog.english', {self.query}::text))
                    ORDER BY positions[1]
                )) WITH ORDINALITY AS words (lexeme, place)
            ),
            query AS MATERIALIZED (
                SELECT {self.vector}::{self.vector_schema}.halfvec AS vector, count(*) AS terms,
                    count(*) > {SCORED_WORDS} AS is_long
                FROM term
            )
        """

    @property
    def all_mask(self) -> str:
        """``all_mask (chunk, words)``, the `masks` of all words of the query."""
        return f"all_mask AS MATERIALIZED ({self.masks('SELECT number, bit FROM term')})"

    @property
    def own_mask(self) -> str:
        """``own_mask (chunk, words)``, the `masks` of the words that are ``scored``."""
        return f"own_mask AS MATERIALIZED ({self.masks(f'SELECT number, bit FROM scored WHERE bit < {NO_BIT}')})"

    def masks(self, words: str) -> str:
        """Vectors whose inner products with a memory's tell which words it has, `MASK_BITS` of them at a time.

        The first also tell whether it has a speaker of whom the query speaks, and is a question.
        """
        return f"""
            SELECT chunk, {self.compared("number", "flags")} AS words
            FROM (
                SELECT number, bit / {MASK_BITS} AS chunk, bit_or({flag(f"(bit % {MASK_BITS})")}) AS flags
                FROM ({self.entries(words)}) entries GROUP BY number, chunk
            ) numbered
            GROUP BY chunk
        """

    def entries(self, words: str) -> str:
        """``(number, bit)`` of some words, of all speakers of whom the query may speak, and of a question's sign."""
        return f"""
            {words} UNION ALL SELECT speaker, {SPEAKER} FROM term
            UNION ALL SELECT {self.schema}.term_number('?'), {QUESTION}
        """

    def mask_counts(self, memories: str, condition: str = "true") -> str:
        """How many of the memories ``m`` have ``found``, the same of a chunk of the query's words."""
        return f"""
            SELECT chunk, found, count(*)::float8 AS memories
            FROM (
                SELECT chunk, (m.terms OPERATOR({self.vector_schema}.<#>) all_mask.words)::bigint AS found
                FROM {memories} CROSS JOIN all_mask WHERE {condition}
            ) compared
            WHERE found <> 0 GROUP BY chunk, found
        """

    def scored(self, words: str, counts: str, *, order: str, further: str = "") -> str:
        """Words with the bits that they have in a memory's mask ``own``.

        There are `SCORED_WORDS` bits, given first to words that memories have as far as `counts` tells, by `order`.
        The words that are left have `NO_BIT`, which no memory has.
        """
        return f"""
            SELECT least(row_number() OVER (ORDER BY memories IS NULL, {order}, bit) + {FIRST_WORD - 1}, {NO_BIT})::int
                AS bit, number, memories{further}
            FROM (
                SELECT bit, number, sum(memories) AS memories{further}
                FROM {words} t LEFT JOIN {counts} c ON {has_bit("t", "c")} GROUP BY bit, number{further}
            ) counted
        """

    def compared(self, number: str, value: str) -> str:
        """The vector of some numbered words with these values, to be compared with a memory's.

        They are negative, since pgvector's operator for the inner product tells the negative of it.
        """
        entries = f"string_agg({number} || ':-' || {value}, ',') FILTER (WHERE {value} <> 0)"
        return f"('{{' || coalesce({entries}, '') || '}}/{TERM_NUMBERS}')::{self.vector_schema}.sparsevec"

    @property
    def measured(self) -> str:
        """What the ranking needs to know of a memory ``m``."""
        return f"m.id, m.ordinal, {self.at} AS at, {self.nearness} AS nearness, {self.own} AS own"

    at: ClassVar = "coalesce(m.valid_from, m.created_at)"
    """The moment a memory ``m`` is from."""

    @property
    def none_of_many(self) -> str:
        """No measured memories, where the planner expects a thousand.

        How many a user has, it can only guess, and what it takes for few it joins by comparing all with all.
        """
        return f"""
            SELECT NULL::text, NULL::int, NULL::timestamptz, NULL::float8, NULL::bigint
            FROM generate_series(1, 1000) WHERE {self.limit}::bigint < 0
        """

    @property
    def nearness(self) -> str:
        """The cosine similarity of a memory ``m``, not below 0; null if the models differ.

        The distance from or to a vector of zeros is NaN, which PostgreSQL takes for the greatest number.
        """
        distance = f"m.embedding OPERATOR({self.vector_schema}.<=>) (SELECT vector FROM query)"
        return f"CASE WHEN m.embedding_model = {self.model}::text THEN 1 - least({distance}, 1) END"

    @property
    def own(self) -> str:
        """The bit mask of the query's words that a memory ``m`` has."""

        def found(chunk: int) -> str:
            words = f"(SELECT words FROM own_mask WHERE chunk = {chunk})"
            return f"(m.terms OPERATOR({self.vector_schema}.<#>) {words})::bigint"

        further = " | ".join(f"(coalesce({found(chunk)}, 0) << {chunk * MASK_BITS})" for chunk in range(1, MASKS))
        return f"""
            CASE WHEN (SELECT terms <= {MASK_BITS - FIRST_WORD} FROM query) THEN {found(0)}
            ELSE {found(0)} | {further} END
        """

    @property
    def most(self) -> str:
        """How many of the best by themselves are needed: those that may lend, and those that may be returned."""
        return f"greatest({SEEDS}, {self.limit}::bigint)"

    def ranked(self, around: str) -> str:
        """From ``best``, the best by themselves, and the ``weight`` of each word to ``ranked``.

        What a memory gets from a lender with a higher own score closes no more than `GAP_SHARE` of the gap
        between the two, so that it stays behind the lender. The gap ends at the lender's own score, or at what the
        lender itself gets from memories below it, such as this one. Of equal own scores that of the newer memory is
        the higher. Own scores are compared before the deduction for questions: the reply may overtake its question.

        A memory to which a lender cannot give enough is left out before the words of the two are compared. What a
        question gets may still matter to those below it: their ceiling is not deducted from.

        Args:
            around: tables to be joined with ``lender``, such that there is a measured memory ``m`` for each that
                it may lend to, and what it says itself.
        """
        new_words = f"lender.own & ~(m.own | {flags(SPEAKER, QUESTION)})"
        lent = f"least(1, {NEIGHBOR_DECAY} * nearness)"
        meaning = f"(nearness + {lent} * {GAP_SHARE} * greatest(nearness_around - nearness, 0))"
        own_score = score("nearness", "said")
        window = f"interval '{NEIGHBOR_WINDOW_SECONDS} seconds'"

        def boosted(around: str) -> str:
            return score(meaning, f"(said + {lent} * {NEIGHBOR_WEIGHT} * {around})")

        return f"""
            lender AS MATERIALIZED (
                SELECT id, ordinal, date_bin({window}, at, 'epoch') AS episode, nearness, own, said,
                    {own_score} AS own_score
                FROM best ORDER BY score DESC, id DESC LIMIT {SEEDS}
            ),
            cutoff AS MATERIALIZED (
                SELECT score FROM best ORDER BY score DESC, id DESC OFFSET {self.limit}::bigint - 1 LIMIT 1
            ),
            neighbor AS MATERIALIZED (
                SELECT id, own, own_score, lender_id, (own_score, id) < (lender_score, lender_id) AS is_below,
                    {boosted("said_around")} AS boosted_score
                FROM (
                    SELECT m.id, m.nearness, m.own, m.said, lender.id AS lender_id,
                        lender.own_score AS lender_score, lender.nearness AS nearness_around,
                        lender.said AS most_around, {new_words} AS around
                    FROM lender CROSS JOIN {around}
                    WHERE m.at >= lender.episode AND m.at < lender.episode + {window}
                        AND (lender.nearness > m.nearness OR {new_words} <> 0)
                ) m
                CROSS JOIN LATERAL (SELECT {own_score} AS own_score) own_scores
                CROSS JOIN LATERAL (SELECT {share("around")} AS said_around) shares
                WHERE {boosted("most_around")} * CASE WHEN (own_score, id) < (lender_score, lender_id) THEN {factor()}
                    ELSE 1 END >= coalesce((SELECT score FROM cutoff), 0)
            ),
            ceiling AS MATERIALIZED (
                SELECT lender.id AS lender_id, greatest(lender.own_score, max(n.boosted_score)) AS score
                FROM lender LEFT JOIN neighbor n ON n.id = lender.id AND NOT n.is_below
                GROUP BY lender.id, lender.own_score
            ),
            ranked AS MATERIALIZED (
                SELECT id, least(score, 1) AS score, own_score
                FROM (
                    SELECT id, max(score) AS score, max(own_score) AS own_score
                    FROM (
                        SELECT id, score, {own_score} AS own_score FROM best
                        UNION ALL
                        SELECT n.id, {factor()} * CASE WHEN is_below
                            THEN least(boosted_score, own_score + {GAP_SHARE} * (ceiling.score - own_score))
                            ELSE boosted_score END, own_score
                        FROM neighbor n JOIN ceiling USING (lender_id)
                    ) scored
                    GROUP BY id ORDER BY score DESC, own_score DESC, id DESC LIMIT {self.limit}::bigint
                ) best
                WHERE score > 0 AND score >= coalesce({self.min_score}::float8, 0)
            )
        """


def score(meaning: str, words: str, said: str = "said") -> str:
    """The score of an answer, from expressions that are null where ``nearness`` or `said` is."""
    return f"coalesce({VECTOR_WEIGHT} * {meaning} + {WORDS_WEIGHT} * {words}, {said}, nearness, 0)"


def factor() -> str:
    """What a score counts, by the mask ``own``."""
    return f"CASE WHEN own & {flags(QUESTION)} <> 0 THEN {QUESTION_FACTOR}::float8 ELSE 1 END"


def words_of(query: str) -> str:
    """The part of a query whose words are compared: of a very long one its beginning and its end."""
    if len(query) <= MAX_QUERY_CHARACTERS:
        return query
    half = MAX_QUERY_CHARACTERS // 2
    return f"{query[:half]} {query[-half:]}"


def patterns(measured: str) -> str:
    """The distinct masks of measured memories, and how many have each."""
    return f"SELECT own, count(*)::float8 AS memories FROM {measured} GROUP BY own"


def flag(bit: str) -> str:
    """The mask of one word."""
    return f"(1::bigint << {bit})"


def flags(*bits: int) -> str:
    """The mask of some bits."""
    return f"{sum(1 << bit for bit in bits)}::bigint"


def has_bit(word: str, count: str) -> str:
    """Whether those of whom a row of `Ranking.mask_counts` tells have a word."""
    return f"({count}.chunk = {word}.bit / {MASK_BITS} AND {count}.found & {flag(f'({word}.bit % {MASK_BITS})')} <> 0)"


def weight(bit: str, memories: str, total: str) -> str:
    """The weight of a word that so many of the memories have."""
    factor = f"CASE WHEN {bit} <> {SPEAKER} THEN 1 WHEN {memories} > 0 THEN {SPEAKER_WEIGHT}::float8 ELSE 0 END"
    return f"{factor} * ln(1 + (1 + {total}) / (1 + {memories}))"


def share(mask: str) -> str:
    """The share of the query that a mask covers, from all words' weights; null if there are none."""
    covered = f"SELECT coalesce(sum(weight), 0) FROM weight WHERE {mask} & flag <> 0"
    return f"(({covered}) / (SELECT sum(weight) FROM weight))"
