DO $lock$ BEGIN
    FOR attempt IN 1..10000 LOOP
        BEGIN
            SET LOCAL lock_timeout = '200ms';
            LOCK TABLE {schema}.memories IN ACCESS EXCLUSIVE MODE;
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            PERFORM pg_sleep(0.2);
        END;
    END LOOP;
END $lock$;
SET LOCAL lock_timeout = DEFAULT;

ALTER TABLE {schema}.memories ALTER COLUMN terms DROP EXPRESSION;
ALTER TABLE {schema}.memories ALTER COLUMN terms DROP NOT NULL;
ALTER TABLE {schema}.memories ADD COLUMN analysis smallint, ADD COLUMN utc_offset smallint;

CREATE FUNCTION {schema}.lexeme_keys(user_id text, terms {vector}.sparsevec) RETURNS bigint[]
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $body$
    BEGIN
        RETURN ARRAY(
            SELECT {schema}.word_key(user_id, split_part(entry, ':', 1)::bigint)
            FROM unnest(string_to_array(split_part(ltrim(terms::text, '{'), '}', 1), ',')) entry
        );
    END $body$;

CREATE FUNCTION {schema}.forget_analysis() RETURNS trigger LANGUAGE plpgsql AS $body$
    BEGIN
        NEW.analysis := NULL;
        RETURN NEW;
    END $body$;
CREATE TRIGGER memories_forget_analysis BEFORE UPDATE OF content ON {schema}.memories
    FOR EACH ROW WHEN (
        OLD.content IS DISTINCT FROM NEW.content AND OLD.terms::text IS NOT DISTINCT FROM NEW.terms::text
    )
    EXECUTE FUNCTION {schema}.forget_analysis();
