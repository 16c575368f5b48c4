-- Made by tools/sql.py; what is changed here is lost.

-- Close the validity of the memories that new ones supersede. One row per memory named: whether it had ended, and whether
-- the caller may read it; both are NULL if the user has no such memory in a scope that the caller may write. Always
-- locked in the order of ids, so that two writes seldom meet in a deadlock.
CREATE OR REPLACE FUNCTION openmem.close_superseded(
    p_buckets smallint[], p_user_ids text[], p_ids text[], p_valid_from timestamptz[], p_granted_paths text[],
    p_granted_prefixes text[], p_readable_paths text[], p_readable_prefixes text[]
) RETURNS TABLE (user_id text, id text, has_ended boolean, is_readable boolean) LANGUAGE plpgsql AS $body$
    #variable_conflict use_column
    DECLARE
        v_now timestamptz := now();
        v_bucket smallint;
        v_user_id text;
        v_id text;
        v_closes_at timestamptz;
    BEGIN
        -- The earliest moment at which one that supersedes it becomes valid.
        FOR v_bucket, v_user_id, v_id, v_closes_at IN
            SELECT n.bucket, n.user_id, n.id, min(coalesce(n.valid_from, v_now))
            FROM unnest(p_buckets, p_user_ids, p_ids, p_valid_from) AS n (bucket, user_id, id, valid_from)
            GROUP BY 1, 2, 3 ORDER BY n.id COLLATE "C"
        LOOP
            user_id := v_user_id;
            id := v_id;
            SELECT coalesce(m.valid_to <= greatest(m.valid_from, clock_timestamp()), false),
                p_readable_paths IS NULL OR m.scope = ANY (p_readable_paths) OR m.scope ^@ ANY (p_readable_prefixes)
            INTO has_ended, is_readable
            FROM openmem.memories m
            WHERE m.bucket = v_bucket AND m.id = v_id AND m.user_id = v_user_id
                AND (p_granted_paths IS NULL OR m.scope = ANY (p_granted_paths)
                    OR m.scope ^@ ANY (p_granted_prefixes))
                AND (m.expires_at IS NULL OR m.expires_at > v_now)
            FOR UPDATE;
            IF NOT has_ended THEN
                UPDATE openmem.memories m
                SET valid_to = least(m.valid_to, greatest(m.valid_from, v_closes_at)), updated_at = v_now,
                    version = m.version + 1
                WHERE m.bucket = v_bucket AND m.id = v_id;
            END IF;
            RETURN NEXT;
        END LOOP;
    END $body$;
