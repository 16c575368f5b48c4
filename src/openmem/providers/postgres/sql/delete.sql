-- Remove a memory. At most one row: its scope and its version, also if they forbid it.
WITH
-- At most one row. Memories of users for whom the caller may not act do not exist.
target AS (
    SELECT m.id, m.scope, m.version,
        {is_granted(m.scope)} AND coalesce(m.version = :if_version::int, true) AS is_allowed
    FROM {schema}.memories m
    WHERE m.id = :id::text AND m.bucket = :bucket::smallint
        AND (:users::text[] IS NULL OR m.user_id = ANY (:users::text[]))
        AND {not_expired(m)}
    FOR UPDATE
),
-- At most one row.
deleted AS (
    DELETE FROM {schema}.memories m USING target
    WHERE m.id = target.id AND m.bucket = :bucket::smallint AND target.is_allowed
    RETURNING m.id, m.user_id, m.scope, m.source::text
),
-- One row per row of deleted.
audit_entry AS (
    SELECT :bucket::smallint AS bucket, deleted.user_id, {app_of(deleted.source)} AS app,
        'delete' AS action, deleted.id AS memory_id, deleted.scope
    FROM deleted
){audit_write}
SELECT scope, version FROM target
