-- Made by tools/sql.py; what is changed here is lost.
\set id '''mem_6b1f000000000000n5'''
\set bucket 677

BEGIN;

-- When a memory is from. At most one row.
SELECT coalesce(m.valid_from, m.created_at) FROM openmem.memories m
WHERE m.id = :id::text AND m.bucket = :bucket::smallint;

ROLLBACK;
