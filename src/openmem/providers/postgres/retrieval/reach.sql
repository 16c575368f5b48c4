least(1, greatest({min_reach}, {reach_factor} * (1 - coalesce((
    SELECT -min(b.vector OPERATOR({vector}.<#>) :vector::{vector}.halfvec)
    FROM {schema}.baselines b
    WHERE b.embedding_model = :model::text
        AND {vector}.vector_dims(b.vector) = {vector}.vector_dims(:vector::{vector}.halfvec)
) / nullif({vector}.l2_norm(:vector::{vector}.halfvec), 0), 0))))
