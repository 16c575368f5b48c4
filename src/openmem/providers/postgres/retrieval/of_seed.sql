seed.id AS seed_id, seed.own_score AS seed_own_score, seed.similarity AS seed_similarity,
seed.term_mask AS seed_term_mask, seed.coverage AS seed_coverage,
NOT (seed.is_dated AND m.is_dated)
    AND m.moment > seed.moment - interval '{stored_at_once_seconds} seconds'
    AND m.moment < seed.moment + interval '{stored_at_once_seconds} seconds' AS is_stored_at_once
