-- Made by tools/sql.py; what is changed here is lost.
\set embedding_model '''hashing:256'''

BEGIN;

-- How many memories of all users another model than :embedding_model embedded. One row. Reads the whole table.
SELECT count(*) FROM openmem.memories m
WHERE m.embedding_model IS DISTINCT FROM :embedding_model::text AND m.indexed AND (m.expires_at IS NULL OR m.expires_at > now());

ROLLBACK;
