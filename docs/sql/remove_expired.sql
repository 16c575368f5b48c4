-- Made by tools/sql.py; what is changed here is lost.
\set ids 'ARRAY[''mem_6b1f000000000000n5'']'
\set buckets 'ARRAY[677]'

BEGIN;

-- Remove those of some memories that have expired, so that their ids can be used again. One row per memory.
DELETE FROM openmem.memories m
WHERE m.id = ANY (:ids::text[]) AND m.bucket = ANY (:buckets::smallint[]) AND m.expires_at <= now()
RETURNING 1;

ROLLBACK;
