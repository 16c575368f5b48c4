-- Made by tools/sql.py; what is changed here is lost.

-- The ordinals of users' newest memories, 0 for none. One row per user.
CREATE OR REPLACE FUNCTION openmem.last_ordinals(p_user_ids text[], p_buckets smallint[])
    RETURNS TABLE (user_id text, ordinal int) LANGUAGE plpgsql AS $body$
    #variable_conflict use_column
    DECLARE
        v_bucket smallint;
    BEGIN
        FOR i IN 1..cardinality(p_user_ids) LOOP
            user_id := p_user_ids[i];
            v_bucket := p_buckets[i];
            ordinal := openmem.next_ordinal(v_bucket, p_user_ids[i], '', '') - 1;
            RETURN NEXT;
        END LOOP;
    END $body$;
