-- Made by tools/sql.py; what is changed here is lost.
\set bucket 677
\set user_id '''maya'''
\set app NULL
\set scope NULL
\set request_id '''a request'''

BEGIN;

-- Log that selected memories were removed. No rows.
WITH audit_entry AS (
    SELECT :bucket::smallint AS bucket, :user_id::text AS user_id, :app::text AS app, 'delete_many' AS action,
        NULL AS memory_id, :scope::text AS scope
),
-- The entries in the audit log, one row per row of audit_entry, in the transaction of what they tell of.
audit AS (
    INSERT INTO openmem.audit_log (bucket, user_id, app, action, memory_id, scope, request_id)
    SELECT e.bucket, e.user_id, e.app, e.action, e.memory_id, e.scope, :request_id::text FROM audit_entry e
)
SELECT;

ROLLBACK;
