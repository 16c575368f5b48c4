-- What writes a memory is a function for each verb, so that a database that is sharded by bucket runs it in one place. It
-- has the bucket as an argument, and each of its statements is about one table and that bucket. They use variables for
-- the time and for what was found before, since a sharded database allows little else.
--
-- A function is not changed in what it takes, returns or does, since processes of several versions of openmem may use one
-- database. A change is a function of another name, in a step of its own.

-- The ordinal of a new memory. One more than the user's newest memory has, but for p_later memories that are stored
-- already, and as many more as there are p_earlier ones that are yet to be stored before this one, both told by ids with
-- commas between them. Not max(ordinal): a planner that expects few memories of a user reads them all.
CREATE FUNCTION {schema}.next_ordinal(p_bucket smallint, p_user_id text, p_earlier text, p_later text) RETURNS int
    LANGUAGE plpgsql AS $body$
    DECLARE
        v_ordinal int;
        v_newest text;
    BEGIN
        SELECT m.ordinal, m.id INTO v_ordinal, v_newest
        FROM {schema}.memories m
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

-- Those of some ids, in their order, that name memories of the user that the caller may read.
CREATE FUNCTION {schema}.readable_ids(
    p_bucket smallint, p_user_id text, p_ids text[], p_readable_paths text[], p_readable_prefixes text[]
) RETURNS text[] LANGUAGE plpgsql AS $body$
    DECLARE
        v_readable text[];
    BEGIN
        IF p_readable_paths IS NULL OR coalesce(p_ids, '{}') = '{}' THEN
            RETURN p_ids;
        END IF;
        SELECT array_agg(m.id) INTO v_readable
        FROM {schema}.memories m
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

-- Let an idempotency key stand for new memories, unless it stands for others within the lifetime of keys. One row: what
-- it stands for from now on. A key whose lifetime is over is given to the new memories. DO UPDATE also where nothing
-- changes: unlike DO NOTHING it returns the row that was there. Of two at the same moment the second waits here for the
-- transaction of the first.
CREATE FUNCTION {schema}.claim_key(
    p_bucket smallint, p_user_id text, p_idempotency_key text, p_fingerprint text, p_id text, p_ids text[],
    OUT stands_for text, OUT stands_for_ids text[], OUT asked_for text
) LANGUAGE plpgsql AS $body$
    DECLARE
        v_now timestamptz := now();
        v_old timestamptz := now() - interval '24 hours';
    BEGIN
        INSERT INTO {schema}.idempotency_keys AS k (bucket, user_id, key, fingerprint, memory_id, memory_ids, at)
        VALUES (p_bucket, p_user_id, p_idempotency_key, p_fingerprint, p_id, p_ids, v_now)
        ON CONFLICT (user_id, key, bucket) DO UPDATE SET
            fingerprint = CASE WHEN k.at < v_old THEN excluded.fingerprint ELSE k.fingerprint END,
            memory_id = CASE WHEN k.at < v_old THEN excluded.memory_id ELSE k.memory_id END,
            memory_ids = CASE WHEN k.at < v_old THEN excluded.memory_ids ELSE k.memory_ids END,
            at = CASE WHEN k.at < v_old THEN excluded.at ELSE k.at END
        RETURNING k.memory_id, k.memory_ids, k.fingerprint INTO stands_for, stands_for_ids, asked_for;
        -- Every write removes a few old keys of its bucket. SKIP LOCKED, so that none waits for another to do the same.
        DELETE FROM {schema}.idempotency_keys old
        WHERE old.bucket = p_bucket AND (old.user_id, old.key) IN (
            SELECT k.user_id, k.key FROM {schema}.idempotency_keys k
            WHERE k.bucket = p_bucket AND k.at < v_old AND (k.user_id, k.key) <> (p_user_id, p_idempotency_key)
            ORDER BY k.at LIMIT 10 FOR UPDATE SKIP LOCKED
        );
    END $body$;

-- Store a memory that supersedes none. One row: when it was created.
CREATE FUNCTION {schema}.add_memory(
    p_id text, p_bucket smallint, p_user_id text, p_earlier text, p_later text, p_content text, p_scope text,
    p_tags text[], p_source json, p_confidence float8, p_valid_from timestamptz, p_valid_to timestamptz,
    p_supersedes text[], p_embedding_model text, p_embedding {vector}.halfvec, p_terms text, p_analysis int,
    p_utc_offset int, p_extensions json, p_metadata text, p_key text, p_expires_at timestamptz, p_indexed boolean,
    p_app text, p_request_id text, p_is_audited boolean
) RETURNS timestamptz LANGUAGE plpgsql AS $body$
    DECLARE
        v_now timestamptz := now();
        v_ordinal int := {schema}.next_ordinal(p_bucket, p_user_id, p_earlier, p_later);
    BEGIN
        INSERT INTO {schema}.memories (
            id, bucket, user_id, ordinal, created_at, content, scope, tags, source, confidence, valid_from,
            valid_to, supersedes, embedding_model, embedding, terms, analysis, utc_offset, extensions, metadata,
            key, expires_at, indexed
        ) VALUES (
            p_id, p_bucket, p_user_id, v_ordinal, v_now, p_content, p_scope, p_tags, p_source, p_confidence,
            p_valid_from, p_valid_to, p_supersedes, p_embedding_model, p_embedding, p_terms::{vector}.sparsevec,
            p_analysis, p_utc_offset, p_extensions, p_metadata::jsonb, p_key, p_expires_at, p_indexed
        );
        IF p_is_audited THEN
            INSERT INTO {schema}.audit_log (bucket, user_id, app, action, memory_id, scope, request_id)
            VALUES (p_bucket, p_user_id, coalesce(p_app, p_source ->> 'app'), 'add', p_id, p_scope, p_request_id);
        END IF;
        RETURN v_now;
    END $body$;

-- Store a memory, close the validity of those that it supersedes, and let an idempotency key stand for it, unless the key
-- stands for another within the lifetime of keys; without one if it is NULL. One row: what forbids it (unknown,
-- already_ended); the id and the fingerprint that the key stands for; when it was created, NULL if it was not stored
-- now; those of the superseded ids that the caller may read.
--
-- A repetition stores nothing, so that nothing forbids it: what it supersedes ended the first time.
CREATE FUNCTION {schema}.add_memory_once(
    p_id text, p_bucket smallint, p_user_id text, p_earlier text, p_later text, p_content text, p_scope text,
    p_tags text[], p_source json, p_confidence float8, p_valid_from timestamptz, p_valid_to timestamptz,
    p_supersedes text[], p_embedding_model text, p_embedding {vector}.halfvec, p_terms text, p_analysis int,
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
                FROM {schema}.memories m
                WHERE m.bucket = p_bucket AND m.user_id = p_user_id AND m.id = ANY (p_supersedes)
                    AND (p_granted_paths IS NULL OR m.scope = ANY (p_granted_paths)
                        OR m.scope ^@ ANY (p_granted_prefixes))
                    AND (m.expires_at IS NULL OR m.expires_at > v_now)
                ORDER BY m.id FOR UPDATE
            ) l;
            IF p_idempotency_key IS NOT NULL THEN
                SELECT true INTO v_is_known FROM {schema}.idempotency_keys k
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
            FROM {schema}.claim_key(p_bucket, p_user_id, p_idempotency_key, p_fingerprint, p_id, NULL) c;
            IF stands_for <> p_id THEN
                RETURN;
            END IF;
        END IF;
        IF v_present <> v_ended THEN
            UPDATE {schema}.memories m
            SET valid_to = least(m.valid_to, greatest(m.valid_from, v_moment)), updated_at = v_now,
                version = m.version + 1
            WHERE m.bucket = p_bucket AND m.id = ANY (v_present) AND m.id <> ALL (v_ended);
        END IF;
        IF p_key IS NOT NULL THEN
            -- A memory that has expired gives the key up.
            UPDATE {schema}.memories m SET key = NULL
            WHERE m.bucket = p_bucket AND m.user_id = p_user_id AND m.key IS NOT NULL
                AND {schema}.key_digest(m.key) = {schema}.key_digest(p_key)
                AND coalesce({schema}.key_digest(m.scope), '') = coalesce({schema}.key_digest(p_scope), '')
                AND m.expires_at <= v_now;
        END IF;
        supersedes := p_supersedes;
        IF p_readable_paths IS NOT NULL THEN
            supersedes := {schema}.readable_ids(
                p_bucket, p_user_id, p_supersedes, p_readable_paths, p_readable_prefixes
            );
        END IF;
        created_at := {schema}.add_memory(
            p_id, p_bucket, p_user_id, p_earlier, p_later, p_content, p_scope, p_tags, p_source, p_confidence,
            p_valid_from, p_valid_to, p_supersedes, p_embedding_model, p_embedding, p_terms, p_analysis, p_utc_offset,
            p_extensions, p_metadata, p_key, p_expires_at, p_indexed, p_app, p_request_id, p_is_audited
        );
    END $body$;

-- Store a memory under a key, in place of the one that has it. One row: what forbids it (unknown, already_ended, whether
-- the memory would supersede itself), the version of the memory that has the key where that matters, and the record; the
-- columns of the record are NULL if nothing was stored.
--
-- A memory that is replaced keeps when it was created, which is when its words are from. If they were read for another
-- time than from p_read_from to p_read_until, nothing is stored, and the row has that moment.
--
-- Of two at the same moment the second waits at the INSERT for the first, and replaces what it left. With p_keep_history
-- it may meet there a memory that is newer than what it looked for. Then it stores nothing, and has to be run again.
CREATE FUNCTION {schema}.put_memory(
    p_id text, p_bucket smallint, p_user_id text, p_earlier text, p_later text, p_content text, p_scope text,
    p_tags text[], p_source json, p_confidence float8, p_valid_from timestamptz, p_valid_to timestamptz,
    p_supersedes text[], p_embedding_model text, p_embedding {vector}.halfvec, p_terms text, p_analysis int,
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
                FROM {schema}.memories m
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
            FROM {schema}.memories m
            WHERE m.bucket = p_bucket AND m.user_id = p_user_id AND m.key IS NOT NULL
                AND {schema}.key_digest(m.key) = {schema}.key_digest(p_key)
                AND coalesce({schema}.key_digest(m.scope), '') = coalesce({schema}.key_digest(p_scope), '')
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
            UPDATE {schema}.memories m
            SET key = NULL, updated_at = v_now, version = m.version + 1, valid_to = v_valid_to
            WHERE m.bucket = p_bucket AND m.id = v_id
            RETURNING m.version INTO v_new_version;
            IF v_id <> ALL (coalesce(p_supersedes, '{}')) THEN
                v_supersedes := coalesce(p_supersedes, '{}') || v_id;
            END IF;
        END IF;
        v_ordinal := {schema}.next_ordinal(p_bucket, p_user_id, p_earlier, p_later);
        INSERT INTO {schema}.memories AS m (
            id, bucket, user_id, ordinal, created_at, content, scope, tags, source, confidence, valid_from,
            valid_to, supersedes, embedding_model, embedding, terms, analysis, utc_offset, extensions, metadata,
            key, version, expires_at, indexed
        ) VALUES (
            p_id, p_bucket, p_user_id, v_ordinal, v_now, p_content, p_scope, p_tags, p_source, p_confidence,
            p_valid_from, p_valid_to, v_supersedes, p_embedding_model, p_embedding, p_terms::{vector}.sparsevec,
            p_analysis, p_utc_offset, p_extensions, p_metadata::jsonb, p_key, v_new_version, p_expires_at, p_indexed
        )
        ON CONFLICT (user_id, {schema}.key_digest(key), coalesce({schema}.key_digest(scope), ''), bucket)
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
                FROM {schema}.memories m
                WHERE m.bucket = p_bucket AND m.user_id = p_user_id AND m.key IS NOT NULL
                    AND {schema}.key_digest(m.key) = {schema}.key_digest(p_key)
                    AND coalesce({schema}.key_digest(m.scope), '') = coalesce({schema}.key_digest(p_scope), '')
                    AND (m.expires_at IS NULL OR m.expires_at > v_now);
            END IF;
            RETURN NEXT;
            RETURN;
        END IF;
        supersedes := v_supersedes;
        IF p_readable_paths IS NOT NULL THEN
            supersedes := {schema}.readable_ids(
                p_bucket, p_user_id, v_supersedes, p_readable_paths, p_readable_prefixes
            );
        END IF;
        IF v_present <> v_ended THEN
            -- But for the memory that is kept, which is closed already.
            UPDATE {schema}.memories m
            SET valid_to = least(m.valid_to, greatest(m.valid_from, v_moment)), updated_at = v_now,
                version = m.version + 1
            WHERE m.bucket = p_bucket AND m.id = ANY (v_present) AND m.id <> ALL (v_ended)
                AND m.id <> coalesce(v_id, '');
        END IF;
        IF p_is_audited THEN
            INSERT INTO {schema}.audit_log (bucket, user_id, app, action, memory_id, scope, request_id)
            VALUES (p_bucket, p_user_id, coalesce(p_app, p_source ->> 'app'), p_action, id, p_scope, p_request_id);
        END IF;
        RETURN NEXT;
    END $body$;

-- Change the fields of a memory that are named in p_changes, and close the validity of the memories that it supersedes
-- from now on. At most one row: what may forbid it (present_scope, present_version, is_as_seen, present_from,
-- present_to, unknown, already_ended), and the record; the columns of the record are NULL if something does.
-- is_as_seen: whether the memory is still what the words and the vector were made for.
CREATE FUNCTION {schema}.update_memory(
    p_id text, p_bucket smallint, p_users text[], p_changes text[], p_was_seen boolean, p_seen_content text,
    p_seen_indexed boolean, p_seen_valid_from timestamptz, p_seen_utc_offset int, p_content text,
    p_embedding_model text, p_embedding {vector}.halfvec, p_terms text, p_analysis int, p_scope text, p_tags text[],
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
        FROM {schema}.memories m
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
                FROM {schema}.memories m
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
            UPDATE {schema}.memories m
            SET valid_to = least(m.valid_to, greatest(m.valid_from, v_now)), updated_at = v_now, version = m.version + 1
            WHERE m.bucket = p_bucket AND m.id = ANY (v_present) AND m.id <> ALL (v_ended);
        END IF;
        IF v_key IS NOT NULL AND 'scope' = ANY (p_changes) THEN
            -- In a new scope a memory that has expired gives its key up, if it is the same.
            UPDATE {schema}.memories m SET key = NULL
            WHERE m.bucket = p_bucket AND m.user_id = v_user_id AND m.key IS NOT NULL
                AND {schema}.key_digest(m.key) = {schema}.key_digest(v_key)
                AND coalesce({schema}.key_digest(m.scope), '') = coalesce({schema}.key_digest(p_scope), '')
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
        UPDATE {schema}.memories m SET
            updated_at = v_now,
            version = m.version + 1,
            content = CASE WHEN 'content' = ANY (p_changes) THEN p_content ELSE m.content END,
            -- NULL where they stay as they are.
            embedding_model = coalesce(p_embedding_model, m.embedding_model),
            embedding = coalesce(p_embedding, m.embedding),
            terms = coalesce(p_terms::{vector}.sparsevec, m.terms),
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
            supersedes := {schema}.readable_ids(
                p_bucket, v_user_id, v_supersedes, p_readable_paths, p_readable_prefixes
            );
        END IF;
        IF p_is_audited THEN
            INSERT INTO {schema}.audit_log (bucket, user_id, app, action, memory_id, scope, request_id)
            VALUES (p_bucket, user_id, coalesce(p_app, source::json ->> 'app'), 'update', id, scope, p_request_id);
        END IF;
        RETURN NEXT;
    END $body$;

-- Remove a memory. At most one row: its scope and its version, also if they forbid it.
CREATE FUNCTION {schema}.delete_memory(
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
        FROM {schema}.memories m
        WHERE m.id = p_id AND m.bucket = p_bucket AND (p_users IS NULL OR m.user_id = ANY (p_users))
            AND (m.expires_at IS NULL OR m.expires_at > now())
        FOR UPDATE;
        IF v_user_id IS NULL THEN
            RETURN;
        END IF;
        IF (p_granted_paths IS NULL OR scope = ANY (p_granted_paths) OR scope ^@ ANY (p_granted_prefixes))
            AND coalesce(version = p_if_version, true)
        THEN
            DELETE FROM {schema}.memories m WHERE m.id = p_id AND m.bucket = p_bucket;
            IF p_is_audited THEN
                INSERT INTO {schema}.audit_log (bucket, user_id, app, action, memory_id, scope, request_id)
                VALUES (p_bucket, v_user_id, coalesce(p_app, v_app), 'delete', p_id, scope, p_request_id);
            END IF;
        END IF;
        RETURN NEXT;
    END $body$;

-- Write an entry into the audit log of what was read. A reader does not wait until it is on the disk: this switches
-- synchronous commit off for the running transaction.
CREATE FUNCTION {schema}.log_read(
    p_bucket smallint, p_user_id text, p_app text, p_action text, p_memory_id text, p_scope text, p_request_id text
) RETURNS void LANGUAGE plpgsql AS $body$
    DECLARE
        v_setting text := set_config('synchronous_commit', 'off', true);
    BEGIN
        INSERT INTO {schema}.audit_log (bucket, user_id, app, action, memory_id, scope, request_id)
        VALUES (p_bucket, p_user_id, p_app, p_action, p_memory_id, p_scope, p_request_id);
    END $body$;
