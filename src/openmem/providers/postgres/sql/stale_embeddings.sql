-- The next memories of all users, behind :after_id, that another model embedded. Up to :limit rows, one per memory, in
-- the order of ids.
SELECT m.id, m.bucket, m.content, coalesce(m.updated_at, m.created_at)
FROM {schema}.memories m
WHERE m.embedding_model IS DISTINCT FROM :embedding_model::text AND m.id > :after_id::text
    AND m.indexed AND {not_expired(m)}
ORDER BY m.id
LIMIT :limit::bigint
