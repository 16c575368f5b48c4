-- Made by tools/sql.py; what is changed here is lost.
\set id '''mem_6b1f000000000000n5'''
\set bucket 677
\set users NULL
\set if_version NULL
\set app NULL
\set request_id '''a request'''
\set granted_paths NULL
\set granted_prefixes NULL

BEGIN;

-- Remove a memory. At most one row: its scope and its version, also if they forbid it.
SELECT * FROM openmem.delete_memory(
    :id::text, :bucket::smallint, :users::text[], :if_version::int, :app::text, :request_id::text, true,
    :granted_paths::text[], :granted_prefixes::text[]
);

ROLLBACK;
