-- Made by tools/sql.py; what is changed here is lost.
\set user_ids 'ARRAY[''maya'']'
\set buckets 'ARRAY[677]'

BEGIN;

-- The ordinals of users' newest memories, 0 for none. One row per user.
SELECT u.user_id, coalesce((
    -- Not max(ordinal): a planner that expects few memories of a user reads them all.
    SELECT newest.ordinal FROM openmem.memories newest
    WHERE newest.bucket = u.bucket AND newest.user_id = u.user_id
    ORDER BY newest.ordinal DESC LIMIT 1
), 0)
FROM unnest(:user_ids::text[], :buckets::smallint[]) AS u (user_id, bucket);

ROLLBACK;
