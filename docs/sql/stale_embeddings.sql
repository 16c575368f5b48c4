-- Made by tools/sql.py; what is changed here is lost.
\set embedding_model '''hashing:256'''
\set after_id ''''''
\set limit 10

BEGIN;

-- The next memories of all users, behind :after_id, that another model embedded. Up to :limit rows, one per memory, in
-- the order of ids.
SELECT m.id, m.bucket, m.content, coalesce(m.updated_at, m.created_at)
FROM openmem.memories m
WHERE m.embedding_model IS DISTINCT FROM :embedding_model::text AND m.id > :after_id::text
    AND m.indexed AND (m.expires_at IS NULL OR m.expires_at > now())
ORDER BY m.id
LIMIT :limit::bigint;

ROLLBACK;
