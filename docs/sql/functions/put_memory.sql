-- Made by tools/sql.py; what is changed here is lost.

-- Store a memory under a key, in place of the one that has it. One row: what forbids it (unknown, already_ended, whether
-- the memory would supersede itself), the version of the memory that has the key where that matters, and the record; the
-- columns of the record are NULL if nothing was stored.
--
-- A memory that is replaced keeps when it was created, which is when its words are from. If they were read for another
-- time than from p_read_from to p_read_until, nothing is stored, and the row has that moment.
--
-- Of two at the same moment the second waits at the INSERT for the first, and replaces what it left. With p_keep_history
-- it may meet there a memory that is newer than what it looked for. Then it stores nothing, and has to be run again.
CREATE OR REPLACE FUNCTION openmem.put_memory(
    p_id text, p_bucket smallint, p_user_id text, p_earlier text, p_later text, p_content text, p_scope text,
    p_tags text[], p_source json, p_confidence float8, p_valid_from timestamptz, p_valid_to timestamptz,
    p_supersedes text[], p_embedding_model text, p_embedding public.halfvec, p_terms text, p_analysis int,
    p_utc_offset int, p_extensions json, p_metadata text, p_key text, p_expires_at timestamptz, p_indexed boolean,
    p_app text, p_request_id text, p_is_audited boolean,
    p_supersede_ended boolean, p_granted_paths text[], p_granted_prefixes text[], p_readable_paths text[],
    p_readable_prefixes text[], p_if_version int, p_keep_history boolean, p_action text, p_read_from timestamptz,
    p_read_until timestamptz
) RETURNS TABLE (
    unknown text[], already_ended text[], is_circular boolean, present_version int, present_since timestamptz,
    id text, content text, user_id text, created_at timestamptz, scope text, tags text[], source text,
    confidence float8, valid_from timestamptz, valid_to timestamptz, supersedes text[], embedding_model text,
    updated_at timestamptz, metadata text, key text, version int, expires_at timestamptz, indexed boolean,
    extensions text
) LANGUAGE plpgsql ROWS 1 AS $body$
    #variable_conflict use_column
    DECLARE
        v_now timestamptz := now();
        v_moment timestamptz := coalesce(p_valid_from, now());
        v_ordinal int;
        v_present text[] := '{}';
        v_ended text[] := '{}';
        v_id text;
        v_version int;
        v_valid_from timestamptz;
        v_valid_to timestamptz;
        v_new_version int := 1;
        v_supersedes text[] := p_supersedes;
    BEGIN
        unknown := '{}';
        already_ended := '{}';
        is_circular := false;
        IF p_supersedes <> '{}' THEN
            -- Always locked in the order of ids, so that two writes seldom meet in a deadlock. Ended is what is not valid now,
            -- and never again. By the clock, not by now(): who waited for a row finds an end that is later than the beginning
            -- of its own transaction.
            SELECT coalesce(array_agg(l.id), '{}'), coalesce(array_agg(l.id) FILTER (WHERE l.has_ended), '{}')
            INTO v_present, v_ended
            FROM (
                SELECT m.id, coalesce(m.valid_to <= greatest(m.valid_from, clock_timestamp()), false) AS has_ended
                FROM openmem.memories m
                WHERE m.bucket = p_bucket AND m.user_id = p_user_id AND m.id = ANY (p_supersedes)
                    AND (p_granted_paths IS NULL OR m.scope = ANY (p_granted_paths)
                        OR m.scope ^@ ANY (p_granted_prefixes))
                    AND (m.expires_at IS NULL OR m.expires_at > v_now)
                ORDER BY m.id FOR UPDATE
            ) l;
            IF NOT p_supersedes <@ v_present THEN
                unknown := ARRAY(SELECT unnest(p_supersedes) EXCEPT SELECT unnest(v_present));
            END IF;
            IF NOT p_supersede_ended THEN
                already_ended := v_ended;
            END IF;
        END IF;
        IF p_keep_history OR p_if_version IS NOT NULL OR p_supersedes <> '{}' THEN
            -- The memory that has the key, where it matters which it is.
            SELECT m.id, m.version, m.valid_from, m.valid_to INTO v_id, v_version, v_valid_from, v_valid_to
            FROM openmem.memories m
            WHERE m.bucket = p_bucket AND m.user_id = p_user_id AND m.key IS NOT NULL
                AND openmem.key_digest(m.key) = openmem.key_digest(p_key)
                AND coalesce(openmem.key_digest(m.scope), '') = coalesce(openmem.key_digest(p_scope), '')
                AND (m.expires_at IS NULL OR m.expires_at > v_now)
            FOR UPDATE;
            is_circular := coalesce(v_id = ANY (v_present), false) AND NOT p_keep_history;
            IF p_keep_history OR p_if_version IS NOT NULL THEN
                present_version := v_version;
            END IF;
        END IF;
        IF unknown <> '{}' OR already_ended <> '{}' OR is_circular OR coalesce(v_version, 0) <> p_if_version THEN
            RETURN NEXT;
            RETURN;
        END IF;
        IF p_keep_history AND v_id IS NOT NULL THEN
            -- The memory that had the key is kept without it.
            IF NOT coalesce(v_valid_to <= greatest(v_valid_from, clock_timestamp()), false) THEN
                v_valid_to := least(v_valid_to, greatest(v_valid_from, v_moment));
            END IF;
            UPDATE openmem.memories m
            SET key = NULL, updated_at = v_now, version = m.version + 1, valid_to = v_valid_to
            WHERE m.bucket = p_bucket AND m.id = v_id
            RETURNING m.version INTO v_new_version;
            IF v_id <> ALL (coalesce(p_supersedes, '{}')) THEN
                v_supersedes := coalesce(p_supersedes, '{}') || v_id;
            END IF;
        END IF;
        v_ordinal := openmem.next_ordinal(p_bucket, p_user_id, p_earlier, p_later);
        INSERT INTO openmem.memories AS m (
            id, bucket, user_id, ordinal, created_at, content, scope, tags, source, confidence, valid_from,
            valid_to, supersedes, embedding_model, embedding, terms, analysis, utc_offset, extensions, metadata,
            key, version, expires_at, indexed
        ) VALUES (
            p_id, p_bucket, p_user_id, v_ordinal, v_now, p_content, p_scope, p_tags, p_source, p_confidence,
            p_valid_from, p_valid_to, v_supersedes, p_embedding_model, p_embedding, p_terms::public.sparsevec,
            p_analysis, p_utc_offset, p_extensions, p_metadata::jsonb, p_key, v_new_version, p_expires_at, p_indexed
        )
        ON CONFLICT (user_id, openmem.key_digest(key), coalesce(openmem.key_digest(scope), ''), bucket)
            WHERE key IS NOT NULL
        DO UPDATE SET
            -- In place of a memory that has expired it is a new one.
            id = CASE WHEN m.expires_at <= v_now THEN excluded.id ELSE m.id END,
            ordinal = CASE WHEN m.expires_at <= v_now THEN excluded.ordinal ELSE m.ordinal END,
            created_at = CASE WHEN m.expires_at <= v_now THEN excluded.created_at ELSE m.created_at END,
            updated_at = CASE WHEN m.expires_at <= v_now THEN NULL ELSE v_now END,
            version = CASE WHEN m.expires_at <= v_now THEN 1 ELSE m.version + 1 END,
            content = excluded.content,
            tags = excluded.tags,
            source = excluded.source,
            confidence = excluded.confidence,
            valid_from = excluded.valid_from,
            valid_to = excluded.valid_to,
            supersedes = excluded.supersedes,
            embedding_model = excluded.embedding_model,
            embedding = excluded.embedding,
            terms = excluded.terms,
            analysis = excluded.analysis,
            utc_offset = excluded.utc_offset,
            extensions = excluded.extensions,
            metadata = excluded.metadata,
            expires_at = excluded.expires_at,
            indexed = excluded.indexed
        WHERE coalesce(m.expires_at <= v_now, false)
            OR (NOT p_keep_history AND coalesce(m.version = p_if_version, true)
                AND coalesce(m.created_at BETWEEN p_read_from AND p_read_until, true))
        RETURNING m.id, m.content, m.user_id, m.created_at, m.scope, m.tags, m.source::text, m.confidence,
            m.valid_from, m.valid_to, m.embedding_model, m.updated_at, m.metadata::text, m.key, m.version,
            m.expires_at, m.indexed, m.extensions::text
        INTO id, content, user_id, created_at, scope, tags, source, confidence, valid_from, valid_to, embedding_model,
            updated_at, metadata, key, version, expires_at, indexed, extensions;
        IF id IS NULL THEN
            IF p_read_from IS NOT NULL THEN
                SELECT m.created_at INTO present_since
                FROM openmem.memories m
                WHERE m.bucket = p_bucket AND m.user_id = p_user_id AND m.key IS NOT NULL
                    AND openmem.key_digest(m.key) = openmem.key_digest(p_key)
                    AND coalesce(openmem.key_digest(m.scope), '') = coalesce(openmem.key_digest(p_scope), '')
                    AND (m.expires_at IS NULL OR m.expires_at > v_now);
            END IF;
            RETURN NEXT;
            RETURN;
        END IF;
        supersedes := v_supersedes;
        IF p_readable_paths IS NOT NULL THEN
            supersedes := openmem.readable_ids(
                p_bucket, p_user_id, v_supersedes, p_readable_paths, p_readable_prefixes
            );
        END IF;
        IF v_present <> v_ended THEN
            -- But for the memory that is kept, which is closed already.
            UPDATE openmem.memories m
            SET valid_to = least(m.valid_to, greatest(m.valid_from, v_moment)), updated_at = v_now,
                version = m.version + 1
            WHERE m.bucket = p_bucket AND m.id = ANY (v_present) AND m.id <> ALL (v_ended)
                AND m.id <> coalesce(v_id, '');
        END IF;
        IF p_is_audited THEN
            INSERT INTO openmem.audit_log (bucket, user_id, app, action, memory_id, scope, request_id)
            VALUES (p_bucket, p_user_id, coalesce(p_app, p_source ->> 'app'), p_action, id, p_scope, p_request_id);
        END IF;
        RETURN NEXT;
    END $body$;
