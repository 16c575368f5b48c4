-- The memory that an idempotency key stands for. At most one row: its record.
SELECT
    {readable_columns}
FROM {schema}.memories m
WHERE m.id = :id::text AND m.bucket = :bucket::smallint AND {not_expired(m)}
