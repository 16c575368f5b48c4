-- Made by tools/sql.py; what is changed here is lost.

-- Store a memory, close the validity of those that it supersedes, and let an idempotency key stand for it, unless the key
-- stands for another within the lifetime of keys; without one if it is NULL. One row: what forbids it (unknown,
-- already_ended); the id and the fingerprint that the key stands for; when it was created, NULL if it was not stored
-- now; those of the superseded ids that the caller may read.
--
-- A repetition stores nothing, so that nothing forbids it: what it supersedes ended the first time.
CREATE OR REPLACE FUNCTION openmem.add_memory_once(
    p_id text, p_bucket smallint, p_user_id text, p_earlier text, p_later text, p_content text, p_scope text,
    p_tags text[], p_source json, p_confidence float8, p_valid_from timestamptz, p_valid_to timestamptz,
    p_supersedes text[], p_embedding_model text, p_embedding public.halfvec, p_terms text, p_analysis int,
    p_utc_offset int, p_extensions json, p_metadata text, p_key text, p_expires_at timestamptz, p_indexed boolean,
    p_app text, p_request_id text, p_is_audited boolean,
    p_supersede_ended boolean, p_granted_paths text[], p_granted_prefixes text[], p_readable_paths text[],
    p_readable_prefixes text[], p_idempotency_key text, p_fingerprint text,
    OUT unknown text[], OUT already_ended text[], OUT stands_for text, OUT fingerprint text,
    OUT created_at timestamptz, OUT supersedes text[]
) LANGUAGE plpgsql AS $body$
    #variable_conflict use_column
    DECLARE
        v_now timestamptz := now();
        v_old timestamptz := v_now - interval '24 hours';
        v_moment timestamptz := coalesce(p_valid_from, v_now);
        v_present text[] := '{}';
        v_ended text[] := '{}';
        v_is_known boolean;
    BEGIN
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
                WHERE m.bucket = p_bucket AND m.user_id = p_user_id AND m.id = ANY (p_supersedes)
                    AND (p_granted_paths IS NULL OR m.scope = ANY (p_granted_paths)
                        OR m.scope ^@ ANY (p_granted_prefixes))
                    AND (m.expires_at IS NULL OR m.expires_at > v_now)
                ORDER BY m.id FOR UPDATE
            ) l;
            IF p_idempotency_key IS NOT NULL THEN
                SELECT true INTO v_is_known FROM openmem.idempotency_keys k
                WHERE k.bucket = p_bucket AND k.user_id = p_user_id AND k.key = p_idempotency_key AND k.at >= v_old;
            END IF;
            IF v_is_known IS NULL THEN
                IF NOT p_supersedes <@ v_present THEN
                    unknown := ARRAY(SELECT unnest(p_supersedes) EXCEPT SELECT unnest(v_present));
                END IF;
                IF NOT p_supersede_ended THEN
                    already_ended := v_ended;
                END IF;
            END IF;
        END IF;
        IF unknown <> '{}' OR already_ended <> '{}' THEN
            RETURN;
        END IF;
        IF p_idempotency_key IS NOT NULL THEN
            SELECT c.stands_for, c.asked_for INTO stands_for, fingerprint
            FROM openmem.claim_key(p_bucket, p_user_id, p_idempotency_key, p_fingerprint, p_id, NULL) c;
            IF stands_for <> p_id THEN
                RETURN;
            END IF;
        END IF;
        IF v_present <> v_ended THEN
            UPDATE openmem.memories m
            SET valid_to = least(m.valid_to, greatest(m.valid_from, v_moment)), updated_at = v_now,
                version = m.version + 1
            WHERE m.bucket = p_bucket AND m.id = ANY (v_present) AND m.id <> ALL (v_ended);
        END IF;
        IF p_key IS NOT NULL THEN
            -- A memory that has expired gives the key up.
            UPDATE openmem.memories m SET key = NULL
            WHERE m.bucket = p_bucket AND m.user_id = p_user_id AND m.key IS NOT NULL
                AND openmem.key_digest(m.key) = openmem.key_digest(p_key)
                AND coalesce(openmem.key_digest(m.scope), '') = coalesce(openmem.key_digest(p_scope), '')
                AND m.expires_at <= v_now;
        END IF;
        supersedes := p_supersedes;
        IF p_readable_paths IS NOT NULL THEN
            supersedes := openmem.readable_ids(
                p_bucket, p_user_id, p_supersedes, p_readable_paths, p_readable_prefixes
            );
        END IF;
        created_at := openmem.add_memory(
            p_id, p_bucket, p_user_id, p_earlier, p_later, p_content, p_scope, p_tags, p_source, p_confidence,
            p_valid_from, p_valid_to, p_supersedes, p_embedding_model, p_embedding, p_terms, p_analysis, p_utc_offset,
            p_extensions, p_metadata, p_key, p_expires_at, p_indexed, p_app, p_request_id, p_is_audited
        );
    END $body$;
