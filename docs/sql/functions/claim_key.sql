-- Made by tools/sql.py; what is changed here is lost.

-- Let an idempotency key stand for new memories, unless it stands for others within the lifetime of keys. One row: what
-- it stands for from now on. A key whose lifetime is over is given to the new memories. DO UPDATE also where nothing
-- changes: unlike DO NOTHING it returns the row that was there. Of two at the same moment the second waits here for the
-- transaction of the first.
CREATE OR REPLACE FUNCTION openmem.claim_key(
    p_bucket smallint, p_user_id text, p_idempotency_key text, p_fingerprint text, p_id text, p_ids text[],
    OUT stands_for text, OUT stands_for_ids text[], OUT asked_for text
) LANGUAGE plpgsql AS $body$
    DECLARE
        v_now timestamptz := now();
        v_old timestamptz := now() - interval '24 hours';
    BEGIN
        INSERT INTO openmem.idempotency_keys AS k (bucket, user_id, key, fingerprint, memory_id, memory_ids, at)
        VALUES (p_bucket, p_user_id, p_idempotency_key, p_fingerprint, p_id, p_ids, v_now)
        ON CONFLICT (user_id, key, bucket) DO UPDATE SET
            fingerprint = CASE WHEN k.at < v_old THEN excluded.fingerprint ELSE k.fingerprint END,
            memory_id = CASE WHEN k.at < v_old THEN excluded.memory_id ELSE k.memory_id END,
            memory_ids = CASE WHEN k.at < v_old THEN excluded.memory_ids ELSE k.memory_ids END,
            at = CASE WHEN k.at < v_old THEN excluded.at ELSE k.at END
        RETURNING k.memory_id, k.memory_ids, k.fingerprint INTO stands_for, stands_for_ids, asked_for;
        -- Every write removes a few old keys of its bucket. SKIP LOCKED, so that none waits for another to do the same.
        DELETE FROM openmem.idempotency_keys old
        WHERE old.bucket = p_bucket AND (old.user_id, old.key) IN (
            SELECT k.user_id, k.key FROM openmem.idempotency_keys k
            WHERE k.bucket = p_bucket AND k.at < v_old AND (k.user_id, k.key) <> (p_user_id, p_idempotency_key)
            ORDER BY k.at LIMIT 10 FOR UPDATE SKIP LOCKED
        );
    END $body$;
