-- The memories that boost their neighbors: up to {seeds} rows, the best of top_k.
-- window_start: where the window of time begins that the memory is from.
seed AS MATERIALIZED (
    SELECT id, ordinal, date_bin('{neighbor_window_seconds} seconds', moment, 'epoch') AS window_start, similarity,
        greatest(term_mask, 0) AS term_mask, CASE WHEN term_mask < 0 THEN 0 ELSE coverage END AS coverage, own_score
    FROM top_k
    ORDER BY score DESC, id DESC
    LIMIT {seeds}
)
