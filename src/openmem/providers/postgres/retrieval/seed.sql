-- The memories that boost their neighbors: up to {seeds} rows, the best of top_k.
seed AS (
    SELECT id, ordinal, moment, is_dated, similarity, greatest(term_mask, 0) AS term_mask,
        CASE WHEN term_mask < 0 THEN 0 ELSE coverage END AS coverage, own_score
    FROM top_k
    ORDER BY score DESC, id DESC
    LIMIT {seeds}
)
