DO $lock$ BEGIN
    FOR attempt IN 1..10000 LOOP
        BEGIN
            SET LOCAL lock_timeout = '200ms';
            LOCK TABLE {schema}.memories, {schema}.idempotency_keys IN ACCESS EXCLUSIVE MODE;
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            PERFORM pg_sleep(0.2);
        END;
    END LOOP;
END $lock$;
SET LOCAL lock_timeout = DEFAULT;

ALTER TABLE {schema}.memories
    ADD COLUMN metadata jsonb,
    ADD COLUMN key text COLLATE "C",
    ADD COLUMN version int NOT NULL DEFAULT 1,
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN indexed boolean NOT NULL DEFAULT true;

CREATE FUNCTION {schema}.key_digest(key text) RETURNS bytea
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $body$
    BEGIN
        RETURN sha256(convert_to(key, 'UTF8'));
    END $body$;

ALTER TABLE {schema}.idempotency_keys ADD COLUMN memory_ids text[] COLLATE "C";
