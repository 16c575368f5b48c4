-- Remove a user's next idempotency keys, from the key on behind which they are. At most one row, none if there are no
-- more: how many were removed, and the last.
WITH
-- Up to :limit rows.
page AS MATERIALIZED (
    SELECT k.key
    FROM {schema}.idempotency_keys k
    WHERE k.bucket = :bucket::smallint AND k.user_id = :user_id::text AND k.key > coalesce(:last_key::text, '')
    ORDER BY k.key
    LIMIT :limit::bigint
),
deleted AS (
    DELETE FROM {schema}.idempotency_keys k
    WHERE k.bucket = :bucket::smallint AND k.user_id = :user_id::text AND k.key = ANY (ARRAY(SELECT page.key FROM page))
    RETURNING k.key
)
SELECT (SELECT count(*) FROM deleted) AS keys, page.key
FROM page
ORDER BY page.key DESC
LIMIT 1
