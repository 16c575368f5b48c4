-- Store new vectors of memories, but for those that were written since they were read. One row: how many were stored.
WITH stored AS (
    UPDATE {schema}.memories m
    SET embedding_model = :embedding_model::text, embedding = new.embedding::{vector}.halfvec
    FROM unnest(:ids::text[], :buckets::smallint[], :written_at::timestamptz[], :embeddings::text[])
        AS new (id, bucket, written_at, embedding)
    WHERE m.id = new.id AND m.bucket = new.bucket AND coalesce(m.updated_at, m.created_at) = new.written_at
    RETURNING 1
)
SELECT count(*) FROM stored
