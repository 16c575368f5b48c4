-- The best memories for a query, by the scores of all memories of the user. For a large user it only says that.
-- One row with is_large_user and NULLs, or up to :limit rows, the best first. `openmem.providers.postgres.retrieval`
-- explains the terms.
--
-- Most CTEs are MATERIALIZED: each runs once, and no planner that knows nothing of a user can merge them.
WITH
-- One row. The rows of the index say it without reading the table.
size AS MATERIALIZED (
    SELECT EXISTS (
        SELECT FROM {schema}.memories m
        WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text AND m.ordinal > {exact_scan_limit}
    ) AS is_large_user
){and_hidden},
-- One row per memory of the user that may be in the result; none for a large user. Each use reads the table: NOT
-- MATERIALIZED.
searched AS NOT MATERIALIZED (
    SELECT m.*
    FROM {schema}.memories m
    WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text
        AND {is_searched}
        AND NOT (SELECT is_large_user FROM size)
),
-- One row. reach: the distance from the query's vector at which a similarity is 0; see `openmem.ranking.calibration`.
query AS MATERIALIZED (
    SELECT {reach} AS reach
),
{words},
-- What the ranking needs of a memory: one row per row of searched, about {exact_scan_limit} at most. The id comes last:
-- PostgreSQL finds a column sooner if those before it have one length in all rows.
features AS MATERIALIZED (
    SELECT {term_mask} AS term_mask,
        {distance} AS distance,
        m.ordinal, m.valid_from IS NOT NULL AS is_dated, coalesce(m.valid_from, m.created_at) AS moment, m.id
    FROM searched m
    UNION ALL
    -- No rows, though the planner expects 1,000. It cannot know how many memories a user has. If it guesses few, it
    -- joins features with others by a nested loop, which compares all with all.
    SELECT NULL::bigint, NULL::float8, NULL::int, NULL::boolean, NULL::timestamptz, NULL::text
    FROM generate_series(1, 1000)
    WHERE :limit::bigint < 0
    -- Masks are then counted without a hash table. And what a sort returns are rows that a CTE only copies. It would make
    -- each of other ones twice: to keep it, and for the first that reads it.
    ORDER BY term_mask
),
-- One row per different mask. Memories with equal masks have equal coverages, so those are computed per mask.
-- is_common: whether so many memories have the mask that their scores are not all computed. The nearest of them have the
-- best, unless scores depend on the age, too, or on whether there is a vector to compare.
mask_counts AS MATERIALIZED (
    SELECT term_mask, count(*)::float8 AS memories,
        count(*) > {common_mask_memories} AND count(*) = count(distance) AND :recency::float8 IS NULL AS is_common
    FROM features GROUP BY term_mask
),
{bit_weight},
-- One row per row of mask_counts. coverage: the share of the query's weight that the mask covers; NULL without lexemes
-- of the query or without terms of the memories.
mask_coverage AS MATERIALIZED (
    SELECT term_mask, is_common,
        CASE WHEN term_mask >= 0 THEN
            {coverage_of(term_mask)}
        END AS coverage
    FROM mask_counts
),
-- One row per row of features. The similarity is computed where it is used: NOT MATERIALIZED.
compared AS NOT MATERIALIZED (
    SELECT *, {similarity} AS similarity FROM features JOIN mask_coverage USING (term_mask)
),
-- The best by themselves: those that may be seeds, and those that may be in the result.
-- own_score: before questions and old memories lose a part. score: after that.
top_k AS MATERIALIZED (
    SELECT *, {own_score} AS own_score
    FROM (
        SELECT *, {similarity} AS similarity
        FROM (
            SELECT
                {own_score}
                    * {question_share}
                    * {recency} AS score,
                term_mask, distance, coverage, ordinal, is_dated, moment, id
            FROM (
                SELECT * FROM compared WHERE NOT is_common
                UNION ALL
                SELECT near.*, m.is_common, m.coverage, {similarity} AS similarity
                FROM mask_coverage m CROSS JOIN LATERAL (
                    SELECT f.term_mask, f.distance, f.ordinal, f.is_dated, f.moment, f.id FROM features f
                    WHERE f.term_mask = m.term_mask
                    ORDER BY f.distance, f.id DESC
                    LIMIT greatest({seeds}, :limit::bigint)
                ) near
                WHERE m.is_common
            ) compared
            ORDER BY score DESC, id DESC
            LIMIT greatest({seeds}, :limit::bigint)
        ) best
    ) best
    -- They are in this order already. Said once more, the planner knows it, too, and nobody below sorts them again.
    ORDER BY score DESC, id DESC
),
{seed},
-- One row per seed and memory that was added up to {neighbor_distance} positions before or after it, and is from less
-- than {neighbor_gap_seconds} seconds before or after it. is_stored_at_once: whether only their order says that the two
-- belong together, which it would also say of notes stored in bulk.
-- The join is on equal ordinals rather than a range, so that it can be a hash join.
pair AS NOT MATERIALIZED (
    SELECT m.id, m.moment, m.similarity, m.distance, m.term_mask, m.coverage,
        {of_seed}
    FROM seed
    CROSS JOIN (VALUES {neighbor_steps}) AS steps (step)
    JOIN compared m ON m.ordinal = seed.ordinal + step
    WHERE {is_near_seed}
),
mean_similarity AS MATERIALIZED (
    SELECT avg({similarity}) AS mean FROM features
),
{boosting},
audit_entry AS (
    SELECT :bucket::smallint AS bucket, :user_id::text AS user_id, :app::text AS app, :verb::text AS action,
        NULL AS memory_id, :scope::text AS scope
    FROM size WHERE NOT is_large_user
)
SELECT size.is_large_user, ranked.score{explained},
    {readable_columns}
FROM size LEFT JOIN (
    ranked CROSS JOIN LATERAL (
        -- A fence: each memory is looked up by its id.
        SELECT * FROM {schema}.memories m WHERE m.id = ranked.id AND m.bucket = :bucket::smallint OFFSET 0
    ) m
) ON true
WHERE {is_logged}
ORDER BY ranked.score DESC, ranked.own_score DESC, ranked.id DESC
