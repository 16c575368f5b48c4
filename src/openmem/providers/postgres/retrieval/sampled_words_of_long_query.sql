lexeme_vectors AS MATERIALIZED (
    {mask_vectors(query_lexeme)}
),
sample_mask_counts AS MATERIALIZED (
    {chunk_mask_counts(sample)}
),
-- One row per lexeme of the query, and how many memories of the sample have it.
lexeme_frequency AS MATERIALIZED (
    SELECT l.bit, l.lexeme_id, coalesce(sum(c.memories), 0) AS memories
    FROM query_lexeme l
    LEFT JOIN sample_mask_counts c
        ON c.chunk = l.bit / {mask_bits} AND c.chunk_mask & (1::bigint << (l.bit % {mask_bits})) <> 0
    GROUP BY l.bit, l.lexeme_id
),
-- One row per word of the query, and one for the speaker.
weighted_word AS MATERIALIZED (
    SELECT word, flag,
        {lexeme_weight}
        AS weight
    FROM (
        SELECT w.word, w.flags AS flag, w.factor, coalesce(sum(c.memories), 0) AS memories,
            (SELECT count(*)::float8 FROM sample) AS total
        FROM (
            SELECT word, weight AS factor, chunk, flags FROM query_word
            UNION ALL SELECT NULL, {speaker_weight}, 0, {speaker_flag}
        ) w
        LEFT JOIN sample_mask_counts c ON c.chunk = w.chunk AND c.chunk_mask & w.flags <> 0
        GROUP BY w.word, w.flags, w.factor
    ) counted
),
-- One row per lexeme and word that it is of, and per speaker whom the query names. value: the share of the query's weight.
weighted_lexeme AS (
    SELECT lexeme_id, weight / (SELECT sum(weight) FROM weighted_word) AS value
    FROM (
        SELECT l.lexeme_id, w.weight FROM query_lexeme l JOIN weighted_word w USING (word)
        UNION ALL
        SELECT unnest(:speaker_ids::int[]), (SELECT weight FROM weighted_word WHERE word IS NULL)
    ) weighted
)
