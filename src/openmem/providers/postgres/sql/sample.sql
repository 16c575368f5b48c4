-- Some of a user's memories, from all of the time in which they were added. Of each of :strata parts of equal length the
-- first :stratum_rows memories, in the order in which they were added. One row for each, and whether the parts are so
-- short that these are all.
WITH
-- One row: the first ordinal of the user's memories, the last, and how many ordinals a part has. No rows for a user
-- without memories.
ordinals AS MATERIALIZED (
    SELECT first, last, (last - first) / :strata::int + 1 AS stratum_length
    FROM (
        SELECT m.ordinal AS first FROM {schema}.memories m
        WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text ORDER BY m.ordinal LIMIT 1
    ) oldest,
    (
        SELECT m.ordinal AS last FROM {schema}.memories m
        WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text ORDER BY m.ordinal DESC LIMIT 1
    ) newest
),
audit_entry AS (
    SELECT :bucket::smallint AS bucket, :user_id::text AS user_id, :app::text AS app, 'list' AS action,
        NULL AS memory_id, :scope::text AS scope
)
SELECT stratum_length <= :stratum_rows::bigint AS is_whole,
    CASE WHEN m.embedding_model = :model::text THEN m.embedding::real[] END AS vector,
    {readable_columns}
FROM ordinals CROSS JOIN generate_series(first, last, stratum_length) AS start
CROSS JOIN LATERAL (
    SELECT * FROM {schema}.memories m
    WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text
        AND m.ordinal >= start AND m.ordinal < start + stratum_length
        AND {is_selected(m)}
    ORDER BY m.ordinal, m.id LIMIT :stratum_rows::bigint
) m
WHERE {is_logged}
ORDER BY m.ordinal, m.id
