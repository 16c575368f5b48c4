-- One memory by its id; its validity does not matter. At most one row: whether the caller may read it, and the record.
WITH
-- At most one row. Memories of users for whom the caller may not act do not exist.
found AS (
    SELECT {is_readable(m.scope)} AS is_allowed,
        {readable_columns}
    FROM {schema}.memories m
    WHERE m.id = :id::text AND m.bucket = :bucket::smallint
        AND (:users::text[] IS NULL OR m.user_id = ANY (:users::text[]))
        AND {not_expired(m)}
),
-- One row, none if the memory is not shown.
audit_entry AS (
    SELECT :bucket::smallint AS bucket, found.user_id, {app_of(found.source)} AS app,
        'get' AS action, found.id AS memory_id, found.scope
    FROM found WHERE found.is_allowed
)
SELECT * FROM found WHERE {is_logged}
