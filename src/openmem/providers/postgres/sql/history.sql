-- A memory with all that it superseded and all that superseded it, the oldest first. One row per memory that the caller
-- may read: the scope of the memory that was asked for, and the record. If the caller may not read that one, there is one
-- row, whose record is NULL.
WITH RECURSIVE
-- At most one row. Memories of users for whom the caller may not act do not exist.
origin AS MATERIALIZED (
    SELECT m.id, m.user_id, m.scope, m.source, m.supersedes, {is_readable(m.scope)} AS is_allowed
    FROM {schema}.memories m
    WHERE m.id = :id::text AND m.bucket = :bucket::smallint
        AND (:users::text[] IS NULL OR m.user_id = ANY (:users::text[]))
        AND {not_expired(m)}
),
-- The memory and what it superseded, the nearest first.
older AS (
    SELECT origin.id, origin.supersedes FROM origin WHERE origin.is_allowed
    UNION
    SELECT m.id, m.supersedes
    FROM older CROSS JOIN LATERAL unnest(older.supersedes) AS named (id)
    CROSS JOIN LATERAL (
        SELECT m.id, m.user_id, m.expires_at, m.supersedes
        FROM {schema}.memories m WHERE m.id = named.id AND m.bucket = :bucket::smallint
        -- A fence: with the condition on the user inside, the planner may read all memories of the user instead.
        OFFSET 0
    ) m
    WHERE m.user_id = (SELECT origin.user_id FROM origin) AND {not_expired(m)}
),
-- The memory and what superseded it, the nearest first.
newer AS (
    SELECT origin.id FROM origin WHERE origin.is_allowed
    UNION
    SELECT m.id
    FROM newer CROSS JOIN LATERAL (
        SELECT m.id, m.user_id, m.expires_at
        FROM {schema}.memories m
        WHERE m.supersedes @> ARRAY[newer.id COLLATE "default"] AND m.bucket = :bucket::smallint
        OFFSET 0
    ) m
    WHERE m.user_id = (SELECT origin.user_id FROM origin) AND {not_expired(m)}
),
-- One row per memory, {max_history} at most each way.
related AS MATERIALIZED (
    (SELECT id FROM older LIMIT {max_history}) UNION (SELECT id FROM newer LIMIT {max_history})
),
audit_entry AS (
    SELECT :bucket::smallint AS bucket, origin.user_id, {app_of(origin.source)} AS app,
        'history' AS action, origin.id AS memory_id, origin.scope
    FROM origin WHERE origin.is_allowed
)
SELECT origin.scope AS origin_scope, shown.*
FROM origin LEFT JOIN LATERAL (
    SELECT
        {readable_columns}
    FROM related CROSS JOIN LATERAL (
        -- A fence: each memory is looked up by its id.
        SELECT * FROM {schema}.memories m WHERE m.id = related.id AND m.bucket = :bucket::smallint OFFSET 0
    ) m
    WHERE {is_readable(m.scope)}
) shown ON true
WHERE {is_logged}
ORDER BY shown.created_at, shown.id
