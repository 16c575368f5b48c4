-- True, once the entries are in the audit log. A function writes them, so that a database that is sharded by bucket runs
-- the whole statement in one place.
(
    SELECT count({schema}.log_read(e.bucket, e.user_id, e.app, e.action, e.memory_id, e.scope, :request_id::text))
    FROM audit_entry e
) >= 0
