,
-- One row. A reader does not wait until its audit entry is on the disk: before the entry is written, this switches
-- synchronous commit off for the running transaction. MATERIALIZED, so that it runs once.
async_commit AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
-- The entries in the audit log, one row per row of audit_entry.
audit AS (
    INSERT INTO {schema}.audit_log (bucket, user_id, app, action, memory_id, scope, request_id)
    SELECT e.bucket, e.user_id, e.app, e.action, e.memory_id, e.scope, :request_id::text
    FROM async_commit, audit_entry e
)
