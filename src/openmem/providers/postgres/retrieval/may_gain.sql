-- Whether a memory may get into the result by its seed. Before coverages are computed, pairs are left out that cannot
-- reach the cutoff even with all of the seed's coverage. Of those above their seed, the score before the loss of questions
-- counts, since it may raise the ceiling of others.
(
    term_mask >= 0
    AND (seed_similarity > similarity OR new_term_mask <> 0)
    AND (own_score + {boost(seed_coverage)})
        * CASE WHEN is_below_seed AND term_mask & {question_flag} <> 0 THEN {question_factor}::float8 ELSE 1 END
        -- The cutoff: the score of the last memory of the result, if there were no boosts. Boosts only raise it.
        >= coalesce((SELECT score FROM top_k ORDER BY score DESC, id DESC OFFSET :limit::bigint - 1 LIMIT 1), 0)
)
