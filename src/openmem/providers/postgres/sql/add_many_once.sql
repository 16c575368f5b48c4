-- Let an idempotency key stand for the memories of an add_many, unless it stands for others within the lifetime of keys.
-- One row: the ids that it stands for (NULL if for the memory of an add), and the fingerprint of what was asked for.
--
-- Of two at the same moment the second waits here until the transaction of the first is over.
WITH
-- One row.
claimed AS (
    INSERT INTO {schema}.idempotency_keys AS k (bucket, user_id, key, fingerprint, memory_id, memory_ids, at)
    SELECT :bucket::smallint, :user_id::text, :idempotency_key::text, :fingerprint::text, (:ids::text[])[1],
        :ids::text[], now()
    {renew_idempotency_key}
    RETURNING k.memory_ids, k.fingerprint
),
-- Up to 10 rows: every write removes a few old keys of its bucket. SKIP LOCKED, so that none waits for another to do
-- the same.
purged AS (
    {purge_idempotency_keys}
)
SELECT * FROM claimed
