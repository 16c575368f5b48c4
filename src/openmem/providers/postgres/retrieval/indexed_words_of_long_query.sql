{query_words},
-- One row. reach: the distance from the query's vector at which a similarity is 0; see `openmem.ranking.calibration`.
-- has_words: whether it has any. has_alternatives: whether a memory may have several lexemes of a word.
query AS MATERIALIZED (
    SELECT {reach} AS reach, true AS has_words, (SELECT count(*) FROM query_word) < count(*) AS has_alternatives
    FROM query_lexeme
)
