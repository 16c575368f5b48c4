-- Made by tools/sql.py; what is changed here is lost.
\set after NULL
\set prefix NULL
\set limit 10

BEGIN;

-- The next users that have memories, behind :after, in the order of their ids, where the table is sharded. Up to :limit
-- rows: the user, how many memories, and when the newest was created. A user has one bucket; that groups are by it, too,
-- lets each shard make its own. On one server `users` reads less.
SELECT m.user_id, count(*) AS memories, max(m.created_at) AS newest
FROM openmem.memories m
WHERE m.user_id > :after::text
    -- From the first id with the prefix to behind the last: an index begins and ends there.
    AND m.user_id >= coalesce(:prefix::text, '')
    AND m.user_id <= coalesce(:prefix::text, '') || repeat(chr(1114111), 300)
    AND m.user_id ^@ coalesce(:prefix::text, '')
    AND (m.expires_at IS NULL OR m.expires_at > now())
GROUP BY m.user_id, m.bucket
ORDER BY m.user_id
LIMIT :limit::bigint;

ROLLBACK;
