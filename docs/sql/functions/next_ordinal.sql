-- Made by tools/sql.py; what is changed here is lost.

-- The ordinal of a new memory. One more than the user's newest memory has, but for p_later memories that are stored
-- already, and as many more as there are p_earlier ones that are yet to be stored before this one, both told by ids with
-- commas between them. Not max(ordinal): a planner that expects few memories of a user reads them all.
CREATE OR REPLACE FUNCTION openmem.next_ordinal(p_bucket smallint, p_user_id text, p_earlier text, p_later text) RETURNS int
    LANGUAGE plpgsql AS $body$
    DECLARE
        v_ordinal int;
        v_newest text;
    BEGIN
        SELECT m.ordinal, m.id INTO v_ordinal, v_newest
        FROM openmem.memories m
        WHERE m.bucket = p_bucket AND m.user_id = p_user_id AND strpos(p_later, m.id) = 0
        ORDER BY m.ordinal DESC LIMIT 1;
        IF p_earlier <> '' THEN
            v_ordinal := coalesce(v_ordinal, 0) + (
                SELECT count(*) FROM unnest(string_to_array(p_earlier, ',')) AS earlier (id)
                WHERE v_newest IS NULL OR earlier.id > v_newest COLLATE "C"
            );
        END IF;
        RETURN coalesce(v_ordinal, 0) + 1;
    END $body$;
