-- Store the baselines of a model, unless another client did before. One row: how many were stored.
WITH stored AS (
    INSERT INTO {schema}.baselines (embedding_model, number, vector)
    SELECT :embedding_model::text, new.number, new.vector::{vector}.halfvec
    FROM unnest(:vectors::text[]) WITH ORDINALITY AS new (vector, number)
    WHERE NOT EXISTS (SELECT FROM {schema}.baselines b WHERE b.embedding_model = :embedding_model::text)
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT count(*) FROM stored
