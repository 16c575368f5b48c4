-- One row per different mask of the memories of the sample.
mask_counts AS MATERIALIZED (
    SELECT term_mask, count(*)::float8 AS memories
    FROM (
        SELECT {term_mask} AS term_mask FROM sample m
    ) masked
    GROUP BY term_mask
),
{bit_weight},
-- One row per lexeme of the query, and how many memories of the sample have it.
lexeme_frequency AS MATERIALIZED (
    SELECT bit, lexeme_id, (
        SELECT coalesce(sum(memories), 0) FROM mask_counts WHERE term_mask & (1::bigint << bit) <> 0
    ) AS memories
    FROM query_lexeme
),
-- One row per lexeme and word that it is of, and per speaker whom the query names. value: the share of the query's weight.
weighted_lexeme AS (
    SELECT lexeme_id, weight / (SELECT sum(weight) FROM bit_weight) AS value
    FROM (
        SELECT l.lexeme_id, w.weight FROM query_lexeme l JOIN bit_weight w ON w.flag & (1::bigint << l.bit) <> 0
        UNION ALL
        SELECT unnest(:mask_speakers::text::int[]), (SELECT weight FROM bit_weight WHERE flag = {speaker_flag})
    ) weighted
)
