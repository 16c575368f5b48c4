-- Made by tools/sql.py; what is changed here is lost.

-- Find the keys of new memories that other memories of their users have. One row for each that is in use: the number of
-- the new memory among those given, from 1. Memories that have expired give their keys up.
CREATE OR REPLACE FUNCTION openmem.free_keys(
    p_ids text[], p_buckets smallint[], p_user_ids text[], p_keys text[], p_scopes text[]
) RETURNS TABLE (number int) LANGUAGE plpgsql AS $body$
    #variable_conflict use_column
    DECLARE
        v_now timestamptz := now();
        v_bucket smallint;
        v_new text;
        v_user_id text;
        v_key text;
        v_scope text;
        v_id text;
        v_is_there boolean;
    BEGIN
        FOR i IN 1..cardinality(p_ids) LOOP
            v_bucket := p_buckets[i];
            v_new := p_ids[i];
            v_user_id := p_user_ids[i];
            v_key := p_keys[i];
            v_scope := p_scopes[i];
            SELECT m.id, coalesce(m.expires_at > v_now, true) INTO v_id, v_is_there
            FROM openmem.memories m
            WHERE m.bucket = v_bucket AND m.user_id = v_user_id AND m.key IS NOT NULL AND m.id <> v_new
                AND openmem.key_digest(m.key) = openmem.key_digest(v_key)
                AND coalesce(openmem.key_digest(m.scope), '') = coalesce(openmem.key_digest(v_scope), '');
            IF v_is_there THEN
                number := i;
                RETURN NEXT;
            ELSIF v_id IS NOT NULL THEN
                UPDATE openmem.memories m SET key = NULL WHERE m.bucket = v_bucket AND m.id = v_id;
            END IF;
        END LOOP;
    END $body$;
