-- The next users that have memories, behind :after, in the order of their ids. Up to :limit rows: the user, how many
-- memories, and when the newest was created.
WITH RECURSIVE
-- One row per user, from index entry to index entry. Rows are made while they are asked for.
known_user AS (
    (
        SELECT m.user_id, m.bucket FROM {schema}.memories m
        WHERE m.user_id > :after::text AND m.user_id >= coalesce(:prefix::text, '')
        ORDER BY m.user_id LIMIT 1
    )
    UNION ALL
    SELECT following.user_id, following.bucket
    FROM known_user CROSS JOIN LATERAL (
        SELECT m.user_id, m.bucket FROM {schema}.memories m
        WHERE m.user_id > known_user.user_id ORDER BY m.user_id LIMIT 1
    ) following
    WHERE known_user.user_id ^@ coalesce(:prefix::text, '')
)
SELECT known_user.user_id, counted.memories, counted.newest
-- An index says how many memories there are, and another one has the few that may have expired.
FROM known_user CROSS JOIN LATERAL (
    SELECT count(*) - (
        SELECT count(*) FROM {schema}.memories m
        WHERE m.bucket = known_user.bucket AND m.user_id = known_user.user_id
            AND (m.expires_at IS NOT NULL OR NOT m.indexed) AND NOT {not_expired(m)}
    ) AS memories, (
        SELECT m.created_at FROM {schema}.memories m
        WHERE m.bucket = known_user.bucket AND m.user_id = known_user.user_id
            AND {not_expired(m)}
        ORDER BY m.created_at DESC, m.id DESC LIMIT 1
    ) AS newest
    FROM {schema}.memories m
    WHERE m.bucket = known_user.bucket AND m.user_id = known_user.user_id
) counted
WHERE known_user.user_id ^@ coalesce(:prefix::text, '') AND counted.memories > 0
LIMIT :limit::bigint
