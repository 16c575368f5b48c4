-- Made by tools/sql.py; what is changed here is lost.
\set bucket 677
\set user_id '''maya'''
\set idempotency_key '''a digest of the idempotency key'''
\set fingerprint '''a digest of what is added'''
\set ids 'ARRAY[''mem_6b1f000000000000n5'']'

BEGIN;

-- Let an idempotency key stand for the memories of an add_many, unless it stands for others within the lifetime of keys.
-- One row: the ids that it stands for (NULL if for the memory of an add), and the fingerprint of what was asked for.
--
-- Of two at the same moment the second waits here until the transaction of the first is over.
WITH
-- One row.
claimed AS (
    INSERT INTO openmem.idempotency_keys AS k (bucket, user_id, key, fingerprint, memory_id, memory_ids, at)
    SELECT :bucket::smallint, :user_id::text, :idempotency_key::text, :fingerprint::text, (:ids::text[])[1],
        :ids::text[], now()
    ON CONFLICT (user_id, key, bucket) DO UPDATE SET
        fingerprint = CASE WHEN k.at < now() - interval '24 hours' THEN excluded.fingerprint ELSE k.fingerprint END,
        memory_id = CASE WHEN k.at < now() - interval '24 hours' THEN excluded.memory_id ELSE k.memory_id END,
        memory_ids = CASE WHEN k.at < now() - interval '24 hours' THEN excluded.memory_ids ELSE k.memory_ids END,
        at = CASE WHEN k.at < now() - interval '24 hours' THEN excluded.at ELSE k.at END
    RETURNING k.memory_ids, k.fingerprint
),
-- Up to 10 rows: every write removes a few old keys of its bucket. SKIP LOCKED, so that none waits for another to do
-- the same.
purged AS (
    DELETE FROM openmem.idempotency_keys old
    WHERE old.bucket = :bucket::smallint AND (old.user_id, old.key) IN (
        SELECT k.user_id, k.key FROM openmem.idempotency_keys k
        WHERE k.bucket = :bucket::smallint AND k.at < now() - interval '24 hours'
            AND (k.user_id, k.key) <> (:user_id::text, :idempotency_key::text)
        ORDER BY k.at LIMIT 10 FOR UPDATE SKIP LOCKED
    )
)
SELECT * FROM claimed;

ROLLBACK;
