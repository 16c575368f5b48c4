DELETE FROM {schema}.idempotency_keys old
WHERE old.bucket = :bucket::smallint AND (old.user_id, old.key) IN (
    SELECT k.user_id, k.key FROM {schema}.idempotency_keys k
    WHERE k.bucket = :bucket::smallint AND k.at < now() - {key_lifetime}
        AND (k.user_id, k.key) <> (:user_id::text, :idempotency_key::text)
    ORDER BY k.at LIMIT 10 FOR UPDATE SKIP LOCKED
)
