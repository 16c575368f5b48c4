-- Store new words of memories, but for those that were written since they were read. One row: how many were stored.
WITH stored AS (
    UPDATE {schema}.memories m
    SET terms = new.terms::{vector}.sparsevec, analysis = :analysis::int
    FROM unnest(:ids::text[], :buckets::smallint[], :written_at::timestamptz[], :terms::text[])
        AS new (id, bucket, written_at, terms)
    WHERE m.id = new.id AND m.bucket = new.bucket AND coalesce(m.updated_at, m.created_at) = new.written_at
    RETURNING 1
)
SELECT count(*) FROM stored
