-- The values of a field among the selected memories of a user, and how many have each, the most frequent first. Up to
-- :limit rows: the value, as JSON if it is one of metadata; the memories; when the newest of them was created.
WITH
valued AS (
    SELECT f.value, m.created_at
    FROM {schema}.memories m CROSS JOIN LATERAL (
        {values_of_field}
    ) AS f (value)
    WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text
        AND {created_within}
        AND {is_selected(m)}
),
audit_entry AS (
    SELECT :bucket::smallint AS bucket, :user_id::text AS user_id, :app::text AS app, 'facets' AS action,
        NULL AS memory_id, :scope::text AS scope
){audit_read}
SELECT value::text, count(*) AS memories, max(created_at) AS newest
FROM valued
GROUP BY value
ORDER BY memories DESC, newest DESC, {text_of_value} COLLATE "C" NULLS LAST
LIMIT :limit::bigint
