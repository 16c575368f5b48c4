-- Made by tools/sql.py; what is changed here is lost.

-- Remove a memory. At most one row: its scope and its version, also if they forbid it.
CREATE OR REPLACE FUNCTION openmem.delete_memory(
    p_id text, p_bucket smallint, p_users text[], p_if_version int, p_app text, p_request_id text,
    p_is_audited boolean, p_granted_paths text[], p_granted_prefixes text[]
) RETURNS TABLE (scope text, version int) LANGUAGE plpgsql ROWS 1 AS $body$
    #variable_conflict use_column
    DECLARE
        v_user_id text;
        v_app text;
    BEGIN
        -- Memories of users for whom the caller may not act do not exist.
        SELECT m.user_id, m.source ->> 'app', m.scope, m.version INTO v_user_id, v_app, scope, version
        FROM openmem.memories m
        WHERE m.id = p_id AND m.bucket = p_bucket AND (p_users IS NULL OR m.user_id = ANY (p_users))
            AND (m.expires_at IS NULL OR m.expires_at > now())
        FOR UPDATE;
        IF v_user_id IS NULL THEN
            RETURN;
        END IF;
        IF (p_granted_paths IS NULL OR scope = ANY (p_granted_paths) OR scope ^@ ANY (p_granted_prefixes))
            AND coalesce(version = p_if_version, true)
        THEN
            DELETE FROM openmem.memories m WHERE m.id = p_id AND m.bucket = p_bucket;
            IF p_is_audited THEN
                INSERT INTO openmem.audit_log (bucket, user_id, app, action, memory_id, scope, request_id)
                VALUES (p_bucket, v_user_id, coalesce(p_app, v_app), 'delete', p_id, scope, p_request_id);
            END IF;
        END IF;
        RETURN NEXT;
    END $body$;
