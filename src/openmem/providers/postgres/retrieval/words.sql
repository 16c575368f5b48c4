-- One row: the vectors whose inner products with memories.terms make up a term_mask. The second and the third are NULL
-- for a query with few lexemes.
masks AS MATERIALIZED (
    SELECT :first_mask::text::{vector}.sparsevec AS first, :second_mask::text::{vector}.sparsevec AS second,
        :third_mask::text::{vector}.sparsevec AS third
),
-- One row per set of bits that has a weight: those of a word, and those of the speaker.
-- factor: what it counts in weights of a word that as many memories have.
scored_flags AS (
    SELECT * FROM unnest(:mask_flags::text::bigint[], :mask_factors::text::float8[]) AS words (flag, factor)
)
