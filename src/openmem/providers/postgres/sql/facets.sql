-- The values of a field among the selected memories of a user, and how many have each, the most frequent first. Up to
-- :limit rows: the value, as JSON if it is one of metadata; the memories; when the newest of them was created.
WITH
{hidden_first}-- One row per different value of the field: of tags, per list of them.
counted AS (
    SELECT {field} AS held, count(*) AS memories, max(m.created_at) AS newest
    FROM {schema}.memories m
    WHERE m.bucket = :bucket::smallint
        AND {candidates}
    GROUP BY held
),
audit_entry AS (
    SELECT :bucket::smallint AS bucket, :user_id::text AS user_id, :app::text AS app, 'facets' AS action,
        NULL AS memory_id, :scope::text AS scope
)
SELECT value::text, sum(counted.memories)::bigint AS memories, max(counted.newest) AS newest
FROM counted CROSS JOIN LATERAL (
    {values_held}
) AS f (value)
WHERE {is_logged}
GROUP BY value
ORDER BY memories DESC, newest DESC, {text_of_value} COLLATE "C" NULLS LAST
LIMIT :limit::bigint
