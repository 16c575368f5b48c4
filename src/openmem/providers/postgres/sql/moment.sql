-- When a memory is from, and the minutes that it was then later than in UTC where somebody said so. At most one row.
SELECT coalesce(m.valid_from, m.created_at), m.utc_offset FROM {schema}.memories m
WHERE m.id = :id::text AND m.bucket = :bucket::smallint
