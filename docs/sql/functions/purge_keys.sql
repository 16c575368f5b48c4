-- Made by tools/sql.py; what is changed here is lost.

-- Remove idempotency keys of all users whose lifetime is over, p_limit at most; how many were removed. Bucket by bucket, as
-- the index has them. SKIP LOCKED, so that none waits for another to do the same.
CREATE OR REPLACE FUNCTION openmem.purge_keys(p_limit bigint) RETURNS bigint LANGUAGE plpgsql AS $body$
    DECLARE
        v_old timestamptz := now() - interval '24 hours';
        v_left bigint := p_limit;
        v_bucket smallint;
        v_removed bigint;
    BEGIN
        FOR i IN 0..1023 LOOP
            v_bucket := i;
            DELETE FROM openmem.idempotency_keys old
            WHERE old.bucket = v_bucket AND (old.user_id, old.key) IN (
                SELECT k.user_id, k.key FROM openmem.idempotency_keys k
                WHERE k.bucket = v_bucket AND k.at < v_old ORDER BY k.at LIMIT v_left FOR UPDATE SKIP LOCKED
            );
            GET DIAGNOSTICS v_removed = ROW_COUNT;
            v_left := v_left - v_removed;
            EXIT WHEN v_left <= 0;
        END LOOP;
        RETURN p_limit - v_left;
    END $body$;
