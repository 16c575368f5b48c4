-- Made by tools/sql.py; what is changed here is lost.
\set readable_paths NULL
\set bucket 677
\set readable_prefixes NULL
\set id '''mem_6b1f000000000000n5'''

BEGIN;

-- The memory that an idempotency key stands for. At most one row: its record.
SELECT
    m.id, m.content, m.user_id, m.created_at, m.scope, m.tags, m.source::text, m.confidence,
    m.valid_from, m.valid_to,
    CASE WHEN :readable_paths::text[] IS NULL OR m.supersedes = '{}' THEN m.supersedes ELSE (
        -- The ids of m.supersedes in their order, without those of memories that the caller may not read.
        SELECT array_agg(named.id ORDER BY named.position)
        FROM unnest(m.supersedes) WITH ORDINALITY AS named (id, position)
        CROSS JOIN LATERAL (
            SELECT FROM openmem.memories s
            WHERE s.id = named.id AND s.bucket = :bucket::smallint AND s.user_id = m.user_id
                AND (:readable_paths::text[] IS NULL OR s.scope = ANY (:readable_paths::text[])
                    OR s.scope ^@ ANY (:readable_prefixes::text[])) AND (s.expires_at IS NULL OR s.expires_at > now())
            -- A fence: without it the planner may read all memories of the user, and join them.
            OFFSET 0
        ) s
    ) END AS supersedes,
    m.embedding_model, m.updated_at, m.metadata::text, m.key, m.version, m.expires_at, m.indexed,
    m.extensions::text
FROM openmem.memories m
WHERE m.id = :id::text AND m.bucket = :bucket::smallint AND (m.expires_at IS NULL OR m.expires_at > now());

ROLLBACK;
