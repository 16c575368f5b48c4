-- Made by tools/sql.py; what is changed here is lost.
\set buckets 'ARRAY[677]'
\set user_ids 'ARRAY[''maya'']'
\set supersedes 'ARRAY[''mem_6b1f000000000000n5'']'
\set valid_from 'ARRAY[now()]'
\set granted_paths NULL
\set granted_prefixes NULL
\set readable_paths NULL
\set readable_prefixes NULL

BEGIN;

-- Close the validity of the memories that those of an add_many supersede. One row per memory named: whether it had
-- ended, and whether the caller may read it; both are NULL if the user has no such memory in a scope that the caller
-- may write.
SELECT user_id, id, has_ended, is_readable
FROM openmem.close_superseded(
    :buckets::smallint[], :user_ids::text[], :supersedes::text[], :valid_from::timestamptz[], :granted_paths::text[],
    :granted_prefixes::text[], :readable_paths::text[], :readable_prefixes::text[]
);

ROLLBACK;
