-- One row per word of the query. A memory has the word if its mask of the chunk has one of the flags.
-- weight: what the word counts in weights of one that as many memories have.
query_word AS MATERIALIZED (
    SELECT position - 1 AS word, weight, chunk, flags
    FROM unnest(:word_weights::float8[], :word_chunks::int[], :word_flags::bigint[]) WITH ORDINALITY
        AS words (weight, chunk, flags, position)
),
-- One row per lexeme of a word, of which any will do.
-- bit: the bit of a mask that is set if a memory has it. lexeme_id: the index of its entry in memories.terms.
query_lexeme AS MATERIALIZED (
    SELECT * FROM unnest(:lexeme_words::int[], :lexeme_ids::int[], :lexeme_bits::int[]) AS lexemes (word, lexeme_id, bit)
)
