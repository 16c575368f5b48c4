-- Made by tools/sql.py; what is changed here is lost.

-- Write an entry into the audit log of what was read. A reader does not wait until it is on the disk: this switches
-- synchronous commit off for the running transaction.
CREATE OR REPLACE FUNCTION openmem.log_read(
    p_bucket smallint, p_user_id text, p_app text, p_action text, p_memory_id text, p_scope text, p_request_id text
) RETURNS void LANGUAGE plpgsql AS $body$
    DECLARE
        v_setting text := set_config('synchronous_commit', 'off', true);
    BEGIN
        INSERT INTO openmem.audit_log (bucket, user_id, app, action, memory_id, scope, request_id)
        VALUES (p_bucket, p_user_id, p_app, p_action, p_memory_id, p_scope, p_request_id);
    END $body$;
