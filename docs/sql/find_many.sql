-- Made by tools/sql.py; what is changed here is lost.
\set ids 'ARRAY[''mem_6b1f000000000000n5'']'
\set buckets 'ARRAY[677]'

BEGIN;

-- Those of some memories that are there. Up to one row per id: its record.
SELECT
    m.id, m.content, m.user_id, m.created_at, m.scope, m.tags, m.source::text, m.confidence,
    m.valid_from, m.valid_to, m.supersedes, m.embedding_model, m.updated_at, m.metadata::text, m.key,
    m.version, m.expires_at, m.indexed, m.extensions::text
FROM openmem.memories m
WHERE m.id = ANY (:ids::text[]) AND m.bucket = ANY (:buckets::smallint[]) AND (m.expires_at IS NULL OR m.expires_at > now());

ROLLBACK;
