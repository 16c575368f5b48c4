-- The lexemes of the query: one row per lexeme, in order of appearance.
-- bit: the bit of a mask that is set if a memory has it. lexeme_id: the index of its entry in memories.terms.
-- speaker_id: the index of the entry that a memory has whose speaker has this name.
query_lexeme AS MATERIALIZED (
    SELECT (position + {first_lexeme_bit} - 1)::int AS bit,
        {schema}.term_number(lexeme) AS lexeme_id,
        {schema}.term_number(lexeme || ':') AS speaker_id
    FROM unnest(ARRAY(
        SELECT lexeme FROM unnest(to_tsvector('pg_catalog.english', :query::text)) ORDER BY positions[1]
    )) WITH ORDINALITY AS lexemes (lexeme, position)
),
-- One row. is_long: whether there are more lexemes than a term_mask has bits for.
query AS MATERIALIZED (
    SELECT :vector::{vector}.halfvec AS vector, count(*) AS lexemes, count(*) > {max_query_lexemes} AS is_long
    FROM query_lexeme
)
