-- Made by tools/sql.py; what is changed here is lost.
\set ids 'ARRAY[''mem_6b1f000000000000n5'']'
\set buckets 'ARRAY[677]'

BEGIN;

-- Remove those of some memories that have expired, so that their ids can be used again. No rows.
WITH
expired AS (
    SELECT other.*
    FROM unnest(:ids::text[], :buckets::smallint[]) AS given (id, bucket)
    CROSS JOIN LATERAL (
        SELECT m.id, m.bucket FROM openmem.memories m
        WHERE m.id = given.id AND m.bucket = given.bucket AND NOT (m.expires_at IS NULL OR m.expires_at > now())
        -- A fence: each memory is looked up by its id; without it the planner may join with the whole table.
        OFFSET 0
    ) other
),
removed AS (
    DELETE FROM openmem.memories m USING expired WHERE m.id = expired.id AND m.bucket = expired.bucket
)
SELECT;

ROLLBACK;
