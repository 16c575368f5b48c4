-- Store a memory that supersedes none. One row: its record.
WITH
-- One row: the memory as it is stored.
added AS (
    {insert_memory}
    RETURNING
        {columns}
),
-- One row.
audit_entry AS (
    SELECT :bucket::smallint AS bucket, added.user_id, {app_of(added.source)} AS app,
        'add' AS action, added.id AS memory_id, added.scope
    FROM added
){audit_write}
SELECT * FROM added
