-- Made by tools/sql.py; what is changed here is lost.
\set granted_paths NULL
\set granted_prefixes NULL
\set if_version NULL
\set id '''mem_6b1f000000000000n5'''
\set bucket 677
\set users NULL
\set app NULL
\set request_id '''a request'''

BEGIN;

-- Remove a memory. At most one row: its scope and its version, also if they forbid it.
WITH
-- At most one row. Memories of users for whom the caller may not act do not exist.
target AS (
    SELECT m.id, m.scope, m.version,
        (:granted_paths::text[] IS NULL OR m.scope = ANY (:granted_paths::text[])
            OR m.scope ^@ ANY (:granted_prefixes::text[])) AND coalesce(m.version = :if_version::int, true) AS is_allowed
    FROM openmem.memories m
    WHERE m.id = :id::text AND m.bucket = :bucket::smallint
        AND (:users::text[] IS NULL OR m.user_id = ANY (:users::text[]))
        AND (m.expires_at IS NULL OR m.expires_at > now())
    FOR UPDATE
),
-- At most one row.
deleted AS (
    DELETE FROM openmem.memories m USING target
    WHERE m.id = target.id AND m.bucket = :bucket::smallint AND target.is_allowed
    RETURNING m.id, m.user_id, m.scope, m.source::text
),
-- One row per row of deleted.
audit_entry AS (
    SELECT :bucket::smallint AS bucket, deleted.user_id, coalesce(:app::text, deleted.source::json ->> 'app') AS app,
        'delete' AS action, deleted.id AS memory_id, deleted.scope
    FROM deleted
),
-- The entries in the audit log, one row per row of audit_entry, in the transaction of what they tell of.
audit AS (
    INSERT INTO openmem.audit_log (bucket, user_id, app, action, memory_id, scope, request_id)
    SELECT e.bucket, e.user_id, e.app, e.action, e.memory_id, e.scope, :request_id::text FROM audit_entry e
)
SELECT scope, version FROM target;

ROLLBACK;
