-- One row: the vectors of mask_vectors.
masks AS MATERIALIZED (
    SELECT (SELECT vector FROM mask_vectors WHERE chunk = 0) AS first,
        (SELECT vector FROM mask_vectors WHERE chunk = 1) AS second,
        (SELECT vector FROM mask_vectors WHERE chunk = 2) AS third
)
