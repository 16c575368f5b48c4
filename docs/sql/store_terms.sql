-- Made by tools/sql.py; what is changed here is lost.
\set analysis 2
\set ids 'ARRAY[''mem_6b1f000000000000n5'']'
\set buckets 'ARRAY[677]'
\set written_at 'ARRAY[now()]'
\set terms 'ARRAY[''{133238249:1,167142662:1}/536870912'']'

BEGIN;

-- Store new words of memories, but for those that were written since they were read. One row: how many were stored.
WITH stored AS (
    UPDATE openmem.memories m
    SET terms = new.terms::public.sparsevec, analysis = :analysis::int
    FROM unnest(:ids::text[], :buckets::smallint[], :written_at::timestamptz[], :terms::text[])
        AS new (id, bucket, written_at, terms)
    WHERE m.id = new.id AND m.bucket = new.bucket AND coalesce(m.updated_at, m.created_at) = new.written_at
    RETURNING 1
)
SELECT count(*) FROM stored;

ROLLBACK;
