best_candidate AS (
    SELECT terms FROM candidates ORDER BY score DESC, id DESC LIMIT {seeds}
),
seed_mask_counts AS MATERIALIZED (
    {chunk_mask_counts(best_candidate)}
),
-- One row per lexeme of the query. The first {max_query_lexemes} have bits of their own, those of words with the most
-- weight first that any seed has. The others share the bit {no_bit}, which no term_mask has.
scored_lexeme AS MATERIALIZED (
    SELECT lexeme_id, word, weight,
        least({first_lexeme_bit} - 1 + row_number() OVER (ORDER BY memories IS NULL, weight DESC, bit), {no_bit})::int
            AS bit
    FROM (
        SELECT l.bit, l.lexeme_id, l.word, w.weight, sum(c.memories) AS memories
        FROM query_lexeme l
        JOIN weighted_word w USING (word)
        LEFT JOIN seed_mask_counts c
            ON c.chunk = l.bit / {mask_bits} AND c.chunk_mask & (1::bigint << (l.bit % {mask_bits})) <> 0
        GROUP BY l.bit, l.lexeme_id, l.word, w.weight
    ) counted
),
masked_lexeme AS (
    SELECT lexeme_id, bit FROM scored_lexeme WHERE bit < {no_bit}
),
mask_vectors AS MATERIALIZED (
    {mask_vectors(masked_lexeme)}
),
{masks},
-- One row per set of bits that has a weight: those of a word. The weights add up to that of the whole query.
bit_weight AS MATERIALIZED (
    SELECT flag, sum(weight) AS weight
    FROM (
        SELECT weight, coalesce(bit_or(1::bigint << bit) FILTER (WHERE bit < {no_bit}), 0) AS flag
        FROM scored_lexeme GROUP BY word, weight
        UNION ALL SELECT weight, flag FROM weighted_word WHERE word IS NULL
    ) weighted
    GROUP BY flag
)
