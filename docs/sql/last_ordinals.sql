-- Made by tools/sql.py; what is changed here is lost.
\set user_ids 'ARRAY[''maya'']'
\set buckets 'ARRAY[677]'

BEGIN;

-- The ordinals of users' newest memories, 0 for none. One row per user.
SELECT user_id, ordinal FROM openmem.last_ordinals(:user_ids::text[], :buckets::smallint[]);

ROLLBACK;
