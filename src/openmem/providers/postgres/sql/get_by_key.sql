-- The memory that has a key; its validity does not matter. At most one row: its record.
WITH
-- At most one row.
found AS (
    SELECT
        {readable_columns}
    FROM {schema}.memories m
    WHERE m.bucket = :bucket::smallint AND {has_key(m)} AND {not_expired(m)}
),
-- One row per row of found.
audit_entry AS (
    SELECT :bucket::smallint AS bucket, found.user_id, {app_of(found.source)} AS app,
        'get_by_key' AS action, found.id AS memory_id, found.scope
    FROM found
)
SELECT * FROM found WHERE {is_logged}
