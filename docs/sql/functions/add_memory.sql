-- Made by tools/sql.py; what is changed here is lost.

-- Store a memory that supersedes none. One row: when it was created.
CREATE OR REPLACE FUNCTION openmem.add_memory(
    p_id text, p_bucket smallint, p_user_id text, p_earlier text, p_later text, p_content text, p_scope text,
    p_tags text[], p_source json, p_confidence float8, p_valid_from timestamptz, p_valid_to timestamptz,
    p_supersedes text[], p_embedding_model text, p_embedding public.halfvec, p_terms text, p_analysis int,
    p_utc_offset int, p_extensions json, p_metadata text, p_key text, p_expires_at timestamptz, p_indexed boolean,
    p_app text, p_request_id text, p_is_audited boolean
) RETURNS timestamptz LANGUAGE plpgsql AS $body$
    DECLARE
        v_now timestamptz := now();
        v_ordinal int := openmem.next_ordinal(p_bucket, p_user_id, p_earlier, p_later);
    BEGIN
        INSERT INTO openmem.memories (
            id, bucket, user_id, ordinal, created_at, content, scope, tags, source, confidence, valid_from,
            valid_to, supersedes, embedding_model, embedding, terms, analysis, utc_offset, extensions, metadata,
            key, expires_at, indexed
        ) VALUES (
            p_id, p_bucket, p_user_id, v_ordinal, v_now, p_content, p_scope, p_tags, p_source, p_confidence,
            p_valid_from, p_valid_to, p_supersedes, p_embedding_model, p_embedding, p_terms::public.sparsevec,
            p_analysis, p_utc_offset, p_extensions, p_metadata::jsonb, p_key, p_expires_at, p_indexed
        );
        IF p_is_audited THEN
            INSERT INTO openmem.audit_log (bucket, user_id, app, action, memory_id, scope, request_id)
            VALUES (p_bucket, p_user_id, coalesce(p_app, p_source ->> 'app'), 'add', p_id, p_scope, p_request_id);
        END IF;
        RETURN v_now;
    END $body$;
