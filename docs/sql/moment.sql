-- Made by tools/sql.py; what is changed here is lost.
\set id '''mem_6b1f000000000000n5'''
\set bucket 677

BEGIN;

-- When a memory is from, and the minutes that it was then later than in UTC where somebody said so. At most one row.
SELECT coalesce(m.valid_from, m.created_at), m.utc_offset FROM openmem.memories m
WHERE m.id = :id::text AND m.bucket = :bucket::smallint;

ROLLBACK;
