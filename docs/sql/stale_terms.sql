-- Made by tools/sql.py; what is changed here is lost.
\set analysis 2
\set everything false
\set after_id ''''''
\set limit 10

BEGIN;

-- The next memories of all users, behind :after_id, that another version of the analysis read. Up to :limit rows, one
-- per memory, in the order of ids.
SELECT m.id, m.bucket, m.content, coalesce(m.valid_from, m.created_at), m.utc_offset,
    coalesce(m.updated_at, m.created_at)
FROM openmem.memories m
WHERE (m.analysis IS DISTINCT FROM :analysis::int OR :everything::boolean) AND m.id > :after_id::text
    AND m.indexed AND (m.expires_at IS NULL OR m.expires_at > now())
ORDER BY m.id
LIMIT :limit::bigint;

ROLLBACK;
