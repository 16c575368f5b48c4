-- Made by tools/sql.py; what is changed here is lost.
\set readable_paths NULL
\set readable_prefixes NULL
\set id '''mem_6b1f000000000000n5'''
\set bucket 677
\set users NULL
\set app NULL
\set request_id '''a request'''

BEGIN;

-- A memory with all that it superseded and all that superseded it, the oldest first. One row per memory that the caller
-- may read: the scope of the memory that was asked for, and the record. If the caller may not read that one, there is one
-- row, whose record is NULL.
WITH RECURSIVE
-- At most one row. Memories of users for whom the caller may not act do not exist.
origin AS MATERIALIZED (
    SELECT m.id, m.user_id, m.scope, m.source, m.supersedes, (:readable_paths::text[] IS NULL OR m.scope = ANY (:readable_paths::text[])
        OR m.scope ^@ ANY (:readable_prefixes::text[])) AS is_allowed
    FROM openmem.memories m
    WHERE m.id = :id::text AND m.bucket = :bucket::smallint
        AND (:users::text[] IS NULL OR m.user_id = ANY (:users::text[]))
        AND (m.expires_at IS NULL OR m.expires_at > now())
),
-- The memory and what it superseded, the nearest first.
older AS (
    SELECT origin.id, origin.supersedes FROM origin WHERE origin.is_allowed
    UNION
    SELECT m.id, m.supersedes
    FROM older CROSS JOIN LATERAL unnest(older.supersedes) AS named (id)
    CROSS JOIN LATERAL (
        SELECT m.id, m.user_id, m.expires_at, m.supersedes
        FROM openmem.memories m WHERE m.id = named.id AND m.bucket = :bucket::smallint
        -- A fence: with the condition on the user inside, the planner may read all memories of the user instead.
        OFFSET 0
    ) m
    WHERE m.user_id = (SELECT origin.user_id FROM origin) AND (m.expires_at IS NULL OR m.expires_at > now())
),
-- The memory and what superseded it, the nearest first.
newer AS (
    SELECT origin.id FROM origin WHERE origin.is_allowed
    UNION
    SELECT m.id
    FROM newer CROSS JOIN LATERAL (
        SELECT m.id, m.user_id, m.expires_at
        FROM openmem.memories m
        WHERE m.supersedes @> ARRAY[newer.id COLLATE "default"] AND m.bucket = :bucket::smallint
        OFFSET 0
    ) m
    WHERE m.user_id = (SELECT origin.user_id FROM origin) AND (m.expires_at IS NULL OR m.expires_at > now())
),
-- One row per memory, 1000 at most each way.
related AS MATERIALIZED (
    (SELECT id FROM older LIMIT 1000) UNION (SELECT id FROM newer LIMIT 1000)
),
audit_entry AS (
    SELECT :bucket::smallint AS bucket, origin.user_id, coalesce(:app::text, origin.source::json ->> 'app') AS app,
        'history' AS action, origin.id AS memory_id, origin.scope
    FROM origin WHERE origin.is_allowed
)
SELECT origin.scope AS origin_scope, shown.*
FROM origin LEFT JOIN LATERAL (
    SELECT
        m.id, m.content, m.user_id, m.created_at, m.scope, m.tags, m.source::text, m.confidence,
        m.valid_from, m.valid_to,
        CASE WHEN :readable_paths::text[] IS NULL OR m.supersedes = '{}' THEN m.supersedes ELSE (
            -- The ids of m.supersedes in their order, without those of memories that the caller may not read.
            SELECT array_agg(named.id ORDER BY named.position)
            FROM unnest(m.supersedes) WITH ORDINALITY AS named (id, position)
            CROSS JOIN LATERAL (
                SELECT FROM openmem.memories s
                WHERE s.id = named.id AND s.bucket = :bucket::smallint AND s.user_id = m.user_id
                    AND (:readable_paths::text[] IS NULL OR s.scope = ANY (:readable_paths::text[])
                        OR s.scope ^@ ANY (:readable_prefixes::text[])) AND (s.expires_at IS NULL OR s.expires_at > now())
                -- A fence: without it the planner may read all memories of the user, and join them.
                OFFSET 0
            ) s
        ) END AS supersedes,
        m.embedding_model, m.updated_at, m.metadata::text, m.key, m.version, m.expires_at, m.indexed,
        m.extensions::text
    FROM related CROSS JOIN LATERAL (
        -- A fence: each memory is looked up by its id.
        SELECT * FROM openmem.memories m WHERE m.id = related.id AND m.bucket = :bucket::smallint OFFSET 0
    ) m
    WHERE (:readable_paths::text[] IS NULL OR m.scope = ANY (:readable_paths::text[])
        OR m.scope ^@ ANY (:readable_prefixes::text[]))
) shown ON true
WHERE -- True, once the entry is in the audit log; there is one at most. A function writes it, so that a database that is sharded
-- by bucket runs the whole statement in one place. IS NULL makes a truth value of a function without a result.
(
    SELECT openmem.log_read(e.bucket, e.user_id, e.app, e.action, e.memory_id, e.scope, :request_id::text) IS NULL
    FROM audit_entry e
) IS NOT TRUE
ORDER BY shown.created_at, shown.id;

ROLLBACK;
