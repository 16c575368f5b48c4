-- Made by tools/sql.py; what is changed here is lost.

-- Those of some ids, in their order, that name memories of the user that the caller may read.
CREATE OR REPLACE FUNCTION openmem.readable_ids(
    p_bucket smallint, p_user_id text, p_ids text[], p_readable_paths text[], p_readable_prefixes text[]
) RETURNS text[] LANGUAGE plpgsql AS $body$
    DECLARE
        v_readable text[];
    BEGIN
        IF p_readable_paths IS NULL OR coalesce(p_ids, '{}') = '{}' THEN
            RETURN p_ids;
        END IF;
        SELECT array_agg(m.id) INTO v_readable
        FROM openmem.memories m
        WHERE m.bucket = p_bucket AND m.id = ANY (p_ids)
            -- CASE hides the user from indexes, so that memories are looked up by their ids.
            AND CASE WHEN m.user_id = p_user_id THEN
                (m.scope = ANY (p_readable_paths) OR m.scope ^@ ANY (p_readable_prefixes))
                AND (m.expires_at IS NULL OR m.expires_at > now())
            END;
        RETURN (
            SELECT array_agg(named.id ORDER BY named.position)
            FROM unnest(p_ids) WITH ORDINALITY AS named (id, position) WHERE named.id = ANY (v_readable)
        );
    END $body$;
