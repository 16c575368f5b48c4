-- One row. reach: the distance from the query's vector at which a similarity is 0; see `openmem.ranking.calibration`.
query AS MATERIALIZED (
    SELECT {reach} AS reach
),
-- One row: the vectors whose inner products with memories.terms make up a term_mask. The second and the third are NULL
-- for a query with few lexemes.
masks AS MATERIALIZED (
    SELECT (:mask_vectors::text[])[1]::{vector}.sparsevec AS first,
        (:mask_vectors::text[])[2]::{vector}.sparsevec AS second,
        (:mask_vectors::text[])[3]::{vector}.sparsevec AS third
),
-- One row per set of bits that has a weight: those of a word, and those of the speaker.
-- factor: what it counts in weights of a word that as many memories have.
scored_flags AS MATERIALIZED (
    SELECT * FROM unnest(:mask_flags::bigint[], :mask_factors::float8[]) AS words (flag, factor)
)