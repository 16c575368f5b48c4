{query_words},
lexeme_vectors AS MATERIALIZED (
    {mask_vectors(query_lexeme)}
),
chunk_mask_counts AS MATERIALIZED (
    {chunk_mask_counts(searched)}
),
-- One row per word of the query. memories: how many have it; NULL for none.
word_count AS MATERIALIZED (
    SELECT w.word, w.weight, w.chunk, sum(c.memories) AS memories, bit_or(c.chunk_mask) AS known_flags
    FROM query_word w LEFT JOIN chunk_mask_counts c ON c.chunk = w.chunk AND c.chunk_mask & w.flags <> 0
    GROUP BY w.word, w.weight, w.chunk
),
-- One row per lexeme of the query. The first {max_query_lexemes} have bits of their own, those of the rarest words
-- first that any memory has. The others share the bit {no_bit}, which no term_mask has. is_ignored: whether memories
-- have the word, and one of its lexemes got no bit.
scored_lexeme AS MATERIALIZED (
    SELECT word, lexeme_id, weight, is_ignored,
        CASE WHEN is_ignored THEN {no_bit} ELSE least(position + {first_lexeme_bit} - 1, {no_bit}) END::int AS bit
    FROM (
        SELECT *, coalesce(
            max(position) FILTER (WHERE is_known) OVER (PARTITION BY word) > {max_query_lexemes}, false
        ) AS is_ignored
        FROM (
            SELECT *, row_number() OVER (ORDER BY NOT is_known, worth DESC, bit) AS position
            FROM (
                SELECT l.word, l.lexeme_id, l.bit, c.weight, c.weight / (1 + c.memories) AS worth,
                    coalesce(c.known_flags & (1::bigint << (l.bit % {mask_bits})) <> 0, false) AS is_known
                FROM query_lexeme l JOIN word_count c USING (word)
            ) counted
        ) ordered
    ) numbered
),
masked_lexeme AS (
    SELECT lexeme_id, bit FROM scored_lexeme WHERE bit < {no_bit}
),
mask_vectors AS MATERIALIZED (
    {mask_vectors(masked_lexeme)}
),
{masks},
-- One row per set of bits that has a weight: those of a word. The words that no memory has and whose lexemes got no bit
-- of their own weigh as well, in one row; those that are left out for being common do not.
scored_flags AS MATERIALIZED (
    SELECT flag, sum(weight) AS factor
    FROM (
        SELECT weight, coalesce(bit_or(1::bigint << bit) FILTER (WHERE bit < {no_bit}), 0) AS flag
        FROM scored_lexeme WHERE NOT is_ignored GROUP BY word, weight
    ) words
    GROUP BY flag
    UNION ALL SELECT {speaker_flag}, {speaker_weight}
)
