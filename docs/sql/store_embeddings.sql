-- Made by tools/sql.py; what is changed here is lost.
\set embedding_model '''hashing:256'''
\set ids 'ARRAY[''mem_6b1f000000000000n5'']'
\set buckets 'ARRAY[677]'
\set written_at 'ARRAY[now()]'
\set embeddings 'ARRAY[''[0.1, 0.2]'']'

BEGIN;

-- Store new vectors of memories, but for those that were written since they were read. One row: how many were stored.
WITH stored AS (
    UPDATE openmem.memories m
    SET embedding_model = :embedding_model::text, embedding = new.embedding::public.halfvec
    FROM unnest(:ids::text[], :buckets::smallint[], :written_at::timestamptz[], :embeddings::text[])
        AS new (id, bucket, written_at, embedding)
    WHERE m.id = new.id AND m.bucket = new.bucket AND coalesce(m.updated_at, m.created_at) = new.written_at
    RETURNING 1
)
SELECT count(*) FROM stored;

ROLLBACK;
