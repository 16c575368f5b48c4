-- One row per row of pair that counts: of those that were not stored at once only those that may get into the result.
-- boost_factor: how much of a boost passes, 0 to 1, but for what `series` says of those that were stored at once. It decays
-- for memories that have little to do with the query themselves. greatest() ignores NULL.
-- new_term_mask: what the seed has and the memory does not, of lexemes alone.
-- is_below_seed: whether the seed is better by itself; of equal own scores that of the newer memory is the better. Own
-- scores, so before questions lose a part of theirs: the reply to a question may overtake it.
near_seed AS MATERIALIZED (
    SELECT *
    FROM (
        SELECT id, moment, term_mask, similarity, seed_id, seed_own_score, seed_similarity, seed_coverage, is_stored_at_once,
            {own_score} AS own_score,
            least(1, greatest(0,
                {neighbor_decay} * (1 - distance / least(1, {neighbor_reach_factor} * (SELECT reach FROM query)))
            )) AS boost_factor,
            seed_term_mask & ~(term_mask | {speaker_flag} | {question_flag}) AS new_term_mask
        FROM pair
        -- A fence: what is computed here is used below several times.
        OFFSET 0
    ) m
    CROSS JOIN LATERAL (SELECT (own_score, id) < (seed_own_score, seed_id) AS is_below_seed) compared
    WHERE is_stored_at_once OR {may_gain}
),
-- One row. factor: how much of a boost passes between memories that were stored at once, 0 to 1, by the autocorrelation
-- of the similarities: whether neighbors of seeds are more like the query than other memories are.
series AS MATERIALIZED (
    SELECT coalesce(least(1, greatest(0,
        sum(of_seed * of_neighbor) / greatest(sum(of_seed * of_seed), 1e-9) / {series_autocorrelation}
    )), 0) AS factor
    FROM (
        SELECT seed_similarity - mean AS of_seed, similarity - mean AS of_neighbor
        FROM near_seed CROSS JOIN mean_similarity
        WHERE is_stored_at_once AND similarity IS NOT NULL
    ) deviations
),
-- The neighbors that may get into the result: one row per row of near_seed, without those that cannot reach the cutoff.
-- boosted_score: before questions lose a part of it, and before the ceiling.
neighbor AS MATERIALIZED (
    SELECT id, moment, term_mask, own_score, seed_id, seed_own_score, is_below_seed,
        own_score + {boost(new_coverage)} AS boosted_score
    FROM (
        SELECT id, moment, term_mask, similarity, seed_id, seed_own_score, seed_similarity, seed_coverage, own_score,
            new_term_mask, is_below_seed,
            boost_factor * CASE WHEN is_stored_at_once THEN (SELECT factor FROM series) ELSE 1 END AS boost_factor
        FROM near_seed
    ) m
    CROSS JOIN LATERAL (
        SELECT {added_coverage} AS new_coverage
    ) coverages
    WHERE {may_gain}
),
-- Up to which score a seed can boost memories below itself, if that is more than its own score: what it gets from such
-- memories itself. One row per memory that gets something from one below itself.
ceiling AS (
    SELECT id AS seed_id, max(boosted_score) AS score FROM neighbor WHERE NOT is_below_seed GROUP BY id
),
-- The result: up to :limit rows, one per memory. Of several scores of a memory the best counts. A boost closes no more
-- than a share of the gap to the ceiling, so that the memory stays behind its seed.
ranked AS (
    SELECT id, least(score, 1) AS score, own_score{shown_seed}
    FROM (
        SELECT id, max(score) AS score, max(own_score) AS own_score{best_seed}
        FROM (
            SELECT id, score, own_score{no_seed} FROM top_k
            UNION ALL
            SELECT n.id,
                {question_share}
                * {recency}
                * CASE WHEN is_below_seed
                    THEN least(boosted_score, own_score + {gap_share} * (greatest(seed_own_score, ceiling.score) - own_score))
                    ELSE boosted_score
                END,
                own_score{shown_seed}
            FROM neighbor n LEFT JOIN ceiling USING (seed_id)
        ) scored
        GROUP BY id
        ORDER BY score DESC, own_score DESC, id DESC
        LIMIT :limit::bigint
    ) best
    -- Out here, since most searches have no :min_score.
    WHERE score > 0 AND score >= coalesce(:min_score::float8, 0)
)
