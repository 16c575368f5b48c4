-- Made by tools/sql.py; what is changed here is lost.
\set ids 'ARRAY[''mem_6b1g000000000000n5'']'
\set buckets 'ARRAY[677]'
\set user_ids 'ARRAY[''maya'']'
\set keys 'ARRAY[''home'']'
\set scopes 'ARRAY[NULL]'

BEGIN;

-- Find the keys of new memories that other memories of their users have. One row for each that is in use: the number of
-- the new memory among those given, from 1. Memories that have expired give their keys up.
SELECT number
FROM openmem.free_keys(:ids::text[], :buckets::smallint[], :user_ids::text[], :keys::text[], :scopes::text[]);

ROLLBACK;
