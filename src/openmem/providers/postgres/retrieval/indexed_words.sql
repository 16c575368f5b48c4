{words},
-- One row per lexeme of the query. bit: the bit of a term_mask that is set if a memory has it. lexeme_id: the index of
-- its entry in memories.terms.
query_lexeme AS MATERIALIZED (
    SELECT lexeme_id, (position + {first_lexeme_bit} - 1)::int AS bit
    FROM unnest(:mask_lexemes::text::int[]) WITH ORDINALITY AS lexemes (lexeme_id, position)
),
-- One row. reach: the distance from the query's vector at which a similarity is 0; see `openmem.ranking.calibration`.
-- has_words: whether it has any. has_alternatives: whether a memory may have several lexemes of a word.
query AS MATERIALIZED (
    SELECT {reach} AS reach, count(*) > 0 AS has_words,
        bool_or(flag & (flag - 1) <> 0 AND flag <> {speaker_flag}) AS has_alternatives
    FROM scored_flags
)
