-- Remove memories of all users that have expired, :limit at most. One row: how many were removed.
WITH
-- SKIP LOCKED, so that none waits for another to do the same.
expired AS (
    SELECT m.id FROM {schema}.memories m WHERE m.expires_at <= now()
    ORDER BY m.expires_at LIMIT :limit::bigint FOR UPDATE SKIP LOCKED
),
deleted AS (
    DELETE FROM {schema}.memories m WHERE m.id = ANY (ARRAY(SELECT expired.id FROM expired)) AND m.expires_at <= now()
    RETURNING m.id
)
SELECT count(*) FROM deleted
