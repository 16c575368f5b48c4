-- When a memory is from. At most one row.
SELECT coalesce(m.valid_from, m.created_at) FROM {schema}.memories m
WHERE m.id = :id::text AND m.bucket = :bucket::smallint
