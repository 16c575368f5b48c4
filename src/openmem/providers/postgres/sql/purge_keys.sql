-- Remove idempotency keys of all users whose lifetime is over, :limit at most. One row: how many were removed.
WITH
-- Bucket by bucket, as the index has them. SKIP LOCKED, so that none waits for another to do the same.
old AS (
    SELECT k.bucket, k.user_id, k.key
    FROM generate_series(0, 1023) AS buckets (bucket)
    CROSS JOIN LATERAL (
        SELECT k.bucket, k.user_id, k.key FROM {schema}.idempotency_keys k
        WHERE k.bucket = buckets.bucket::smallint AND k.at < now() - {key_lifetime}
        ORDER BY k.at LIMIT :limit::bigint FOR UPDATE SKIP LOCKED
    ) k
    LIMIT :limit::bigint
),
deleted AS (
    DELETE FROM {schema}.idempotency_keys k USING old
    WHERE k.user_id = old.user_id AND k.key = old.key AND k.bucket = old.bucket
    RETURNING k.key
)
SELECT count(*) FROM deleted
