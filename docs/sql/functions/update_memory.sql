-- Made by tools/sql.py; what is changed here is lost.

-- Change the fields of a memory that are named in p_changes, and close the validity of the memories that it supersedes
-- from now on. At most one row: what may forbid it (present_scope, present_version, is_as_seen, present_from,
-- present_to, unknown, already_ended), and the record; the columns of the record are NULL if something does.
-- is_as_seen: whether the memory is still what the words and the vector were made for.
CREATE OR REPLACE FUNCTION openmem.update_memory(
    p_id text, p_bucket smallint, p_users text[], p_changes text[], p_was_seen boolean, p_seen_content text,
    p_seen_indexed boolean, p_seen_valid_from timestamptz, p_seen_utc_offset int, p_content text,
    p_embedding_model text, p_embedding public.halfvec, p_terms text, p_analysis int, p_scope text, p_tags text[],
    p_confidence float8, p_valid_from timestamptz, p_utc_offset int, p_valid_to timestamptz, p_metadata text,
    p_expires_at timestamptz, p_if_version int, p_supersedes text[], p_supersede_ended boolean, p_app text,
    p_request_id text, p_is_audited boolean, p_granted_paths text[], p_granted_prefixes text[],
    p_readable_paths text[], p_readable_prefixes text[]
) RETURNS TABLE (
    present_scope text, present_version int, is_as_seen boolean, present_from timestamptz, present_to timestamptz,
    unknown text[], already_ended text[],
    id text, content text, user_id text, created_at timestamptz, scope text, tags text[], source text,
    confidence float8, valid_from timestamptz, valid_to timestamptz, supersedes text[], embedding_model text,
    updated_at timestamptz, metadata text, key text, version int, expires_at timestamptz, indexed boolean,
    extensions text
) LANGUAGE plpgsql ROWS 1 AS $body$
    #variable_conflict use_column
    DECLARE
        v_now timestamptz := now();
        v_user_id text;
        v_key text;
        v_supersedes text[];
        v_present text[] := '{}';
        v_ended text[] := '{}';
        v_from timestamptz := p_valid_from;
        v_to timestamptz := p_valid_to;
    BEGIN
        -- Memories of users for whom the caller may not act do not exist.
        SELECT m.user_id, m.scope, m.key, m.version, m.valid_from, m.valid_to, m.supersedes,
            NOT p_was_seen OR (
                m.content = coalesce(p_seen_content, m.content) AND m.indexed = p_seen_indexed
                AND m.valid_from IS NOT DISTINCT FROM p_seen_valid_from
                AND m.utc_offset IS NOT DISTINCT FROM p_seen_utc_offset
            )
        INTO v_user_id, present_scope, v_key, present_version, present_from, present_to, v_supersedes, is_as_seen
        FROM openmem.memories m
        WHERE m.id = p_id AND m.bucket = p_bucket AND (p_users IS NULL OR m.user_id = ANY (p_users))
            AND (m.expires_at IS NULL OR m.expires_at > v_now)
        FOR UPDATE;
        IF v_user_id IS NULL THEN
            RETURN;
        END IF;
        unknown := '{}';
        already_ended := '{}';
        IF p_supersedes <> '{}' THEN
            -- Always locked in the order of ids, so that two writes seldom meet in a deadlock. Ended is what is not valid now,
            -- and never again. By the clock, not by now(): who waited for a row finds an end that is later than the beginning
            -- of its own transaction.
            SELECT coalesce(array_agg(l.id), '{}'), coalesce(array_agg(l.id) FILTER (WHERE l.has_ended), '{}')
            INTO v_present, v_ended
            FROM (
                SELECT m.id, coalesce(m.valid_to <= greatest(m.valid_from, clock_timestamp()), false) AS has_ended
                FROM openmem.memories m
                WHERE m.bucket = p_bucket AND m.user_id = v_user_id AND m.id = ANY (p_supersedes)
                    AND (p_granted_paths IS NULL OR m.scope = ANY (p_granted_paths)
                        OR m.scope ^@ ANY (p_granted_prefixes))
                    AND (m.expires_at IS NULL OR m.expires_at > v_now)
                ORDER BY m.id FOR UPDATE
            ) l;
            IF NOT p_supersedes <@ v_present THEN
                unknown := ARRAY(SELECT unnest(p_supersedes) EXCEPT SELECT unnest(v_present));
            END IF;
            IF NOT p_supersede_ended THEN
                -- What the memory superseded before may have ended.
                already_ended := ARRAY(SELECT unnest(v_ended) EXCEPT SELECT unnest(v_supersedes) ORDER BY 1);
            END IF;
        END IF;
        IF NOT 'valid_from' = ANY (p_changes) THEN
            v_from := present_from;
        END IF;
        IF NOT 'valid_to' = ANY (p_changes) THEN
            v_to := present_to;
        END IF;
        IF unknown <> '{}' OR already_ended <> '{}' OR is_as_seen IS NOT TRUE OR present_version <> p_if_version
            OR (p_granted_paths IS NULL OR present_scope = ANY (p_granted_paths)
                OR present_scope ^@ ANY (p_granted_prefixes)) IS NOT TRUE
            OR (v_to < v_from AND p_changes && '{valid_from,valid_to}')
        THEN
            RETURN NEXT;
            RETURN;
        END IF;
        IF v_present <> v_ended THEN
            UPDATE openmem.memories m
            SET valid_to = least(m.valid_to, greatest(m.valid_from, v_now)), updated_at = v_now, version = m.version + 1
            WHERE m.bucket = p_bucket AND m.id = ANY (v_present) AND m.id <> ALL (v_ended);
        END IF;
        IF v_key IS NOT NULL AND 'scope' = ANY (p_changes) THEN
            -- In a new scope a memory that has expired gives its key up, if it is the same.
            UPDATE openmem.memories m SET key = NULL
            WHERE m.bucket = p_bucket AND m.user_id = v_user_id AND m.key IS NOT NULL
                AND openmem.key_digest(m.key) = openmem.key_digest(v_key)
                AND coalesce(openmem.key_digest(m.scope), '') = coalesce(openmem.key_digest(p_scope), '')
                AND m.expires_at <= v_now;
        END IF;
        IF p_supersedes <> '{}' THEN
            -- Behind the ids that were there, the new ones in the order in which they were given first.
            v_supersedes := coalesce(v_supersedes, '{}') || ARRAY(
                SELECT new.id FROM unnest(p_supersedes) WITH ORDINALITY AS new (id, position)
                WHERE new.id <> ALL (coalesce(v_supersedes, '{}'))
                GROUP BY new.id ORDER BY min(new.position)
            );
        END IF;
        UPDATE openmem.memories m SET
            updated_at = v_now,
            version = m.version + 1,
            content = CASE WHEN 'content' = ANY (p_changes) THEN p_content ELSE m.content END,
            -- NULL where they stay as they are.
            embedding_model = coalesce(p_embedding_model, m.embedding_model),
            embedding = coalesce(p_embedding, m.embedding),
            terms = coalesce(p_terms::public.sparsevec, m.terms),
            analysis = coalesce(p_analysis, m.analysis),
            scope = CASE WHEN 'scope' = ANY (p_changes) THEN p_scope ELSE m.scope END,
            tags = CASE WHEN 'tags' = ANY (p_changes) THEN p_tags ELSE m.tags END,
            confidence = CASE WHEN 'confidence' = ANY (p_changes) THEN p_confidence ELSE m.confidence END,
            valid_from = CASE WHEN 'valid_from' = ANY (p_changes) THEN p_valid_from ELSE m.valid_from END,
            utc_offset = CASE WHEN 'valid_from' = ANY (p_changes) THEN p_utc_offset ELSE m.utc_offset END,
            metadata = CASE WHEN 'metadata' = ANY (p_changes) THEN p_metadata::jsonb ELSE m.metadata END,
            expires_at = CASE WHEN 'expires_at' = ANY (p_changes) THEN p_expires_at ELSE m.expires_at END,
            valid_to = CASE WHEN 'valid_to' = ANY (p_changes) THEN p_valid_to ELSE m.valid_to END,
            supersedes = v_supersedes
        WHERE m.id = p_id AND m.bucket = p_bucket
        RETURNING m.id, m.content, m.user_id, m.created_at, m.scope, m.tags, m.source::text, m.confidence,
            m.valid_from, m.valid_to, m.embedding_model, m.updated_at, m.metadata::text, m.key, m.version,
            m.expires_at, m.indexed, m.extensions::text
        INTO id, content, user_id, created_at, scope, tags, source, confidence, valid_from, valid_to, embedding_model,
            updated_at, metadata, key, version, expires_at, indexed, extensions;
        supersedes := v_supersedes;
        IF p_readable_paths IS NOT NULL THEN
            supersedes := openmem.readable_ids(
                p_bucket, v_user_id, v_supersedes, p_readable_paths, p_readable_prefixes
            );
        END IF;
        IF p_is_audited THEN
            INSERT INTO openmem.audit_log (bucket, user_id, app, action, memory_id, scope, request_id)
            VALUES (p_bucket, user_id, coalesce(p_app, source::json ->> 'app'), 'update', id, scope, p_request_id);
        END IF;
        RETURN NEXT;
    END $body$;
