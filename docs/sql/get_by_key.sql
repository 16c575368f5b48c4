-- Made by tools/sql.py; what is changed here is lost.
\set readable_paths NULL
\set bucket 677
\set readable_prefixes NULL
\set user_id '''maya'''
\set key '''home'''
\set scope NULL
\set app NULL
\set request_id '''a request'''

BEGIN;

-- The memory that has a key; its validity does not matter. At most one row: its record.
WITH
-- At most one row.
found AS (
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
    FROM openmem.memories m
    WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text AND m.key IS NOT NULL
        AND openmem.key_digest(m.key) = openmem.key_digest(:key::text)
        AND coalesce(openmem.key_digest(m.scope), '') = coalesce(openmem.key_digest(:scope::text), '') AND (m.expires_at IS NULL OR m.expires_at > now())
),
-- One row per row of found.
audit_entry AS (
    SELECT :bucket::smallint AS bucket, found.user_id, coalesce(:app::text, found.source::json ->> 'app') AS app,
        'get_by_key' AS action, found.id AS memory_id, found.scope
    FROM found
)
SELECT * FROM found WHERE -- True, once the entry is in the audit log; there is one at most. A function writes it, so that a database that is sharded
-- by bucket runs the whole statement in one place. IS NULL makes a truth value of a function without a result.
(
    SELECT openmem.log_read(e.bucket, e.user_id, e.app, e.action, e.memory_id, e.scope, :request_id::text) IS NULL
    FROM audit_entry e
) IS NOT TRUE;

ROLLBACK;
