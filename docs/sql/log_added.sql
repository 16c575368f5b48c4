-- Made by tools/sql.py; what is changed here is lost.
\set app NULL
\set action '''add'''
\set ids 'ARRAY[''mem_6b1f000000000000n5'']'
\set buckets 'ARRAY[677]'
\set request_id '''a request'''

BEGIN;

-- Log memories that COPY stored, in their order. No rows.
WITH audit_entry AS (
    SELECT added.bucket, added.user_id, coalesce(:app::text, added.source::json ->> 'app') AS app,
        :action::text AS action, added.id AS memory_id, added.scope
    FROM unnest(:ids::text[], :buckets::smallint[]) WITH ORDINALITY AS new (id, bucket, position)
    CROSS JOIN LATERAL (
        SELECT * FROM openmem.memories m WHERE m.id = new.id AND m.bucket = new.bucket
        -- A fence: each memory is looked up by its id; without it the planner may join with the whole table.
        OFFSET 0
    ) added
    ORDER BY new.position
),
-- The entries in the audit log, one row per row of audit_entry, in the transaction of what they tell of.
audit AS (
    INSERT INTO openmem.audit_log (bucket, user_id, app, action, memory_id, scope, request_id)
    SELECT e.bucket, e.user_id, e.app, e.action, e.memory_id, e.scope, :request_id::text FROM audit_entry e
)
SELECT;

ROLLBACK;
