-- Made by tools/sql.py; what is changed here is lost.
\set readable_paths NULL
\set readable_prefixes NULL
\set bucket 677
\set id '''mem_6b1f000000000000n5'''
\set users NULL
\set app NULL
\set request_id '''a request'''

BEGIN;

-- One memory by its id; its validity does not matter. At most one row: whether the caller may read it, and the record.
WITH
-- At most one row. Memories of users for whom the caller may not act do not exist.
found AS (
    SELECT (:readable_paths::text[] IS NULL OR m.scope = ANY (:readable_paths::text[])
        OR m.scope ^@ ANY (:readable_prefixes::text[])) AS is_allowed,
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
    FROM openmem.memories m
    WHERE m.id = :id::text AND m.bucket = :bucket::smallint
        AND (:users::text[] IS NULL OR m.user_id = ANY (:users::text[]))
        AND (m.expires_at IS NULL OR m.expires_at > now())
),
-- One row, none if the memory is not shown.
audit_entry AS (
    SELECT :bucket::smallint AS bucket, found.user_id, coalesce(:app::text, found.source::json ->> 'app') AS app,
        'get' AS action, found.id AS memory_id, found.scope
    FROM found WHERE found.is_allowed
)
SELECT * FROM found WHERE -- True, once the entry is in the audit log; there is one at most. A function writes it, so that a database that is sharded
-- by bucket runs the whole statement in one place. IS NULL makes a truth value of a function without a result.
(
    SELECT openmem.log_read(e.bucket, e.user_id, e.app, e.action, e.memory_id, e.scope, :request_id::text) IS NULL
    FROM audit_entry e
) IS NOT TRUE;

ROLLBACK;
