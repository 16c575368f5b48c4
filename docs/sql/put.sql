-- Made by tools/sql.py; what is changed here is lost.
\set key '''home'''
\set scope NULL
\set bucket 677
\set user_id '''maya'''
\set supersedes NULL
\set granted_paths NULL
\set granted_prefixes NULL
\set supersede_ended false
\set keep_history false
\set if_version NULL
\set valid_from NULL
\set id '''mem_6b1g000000000000n5'''
\set earlier ''''''
\set later ''''''
\set content '''I moved to Porto'''
\set tags 'ARRAY[''home'']'
\set source '''{"app": "demo"}'''
\set confidence NULL
\set valid_to NULL
\set embedding_model '''hashing:256'''
\set embedding 'array_fill(0.1::real, ARRAY[256])'
\set terms '''{133238249:1,167142662:1}/536870912'''
\set analysis 1
\set utc_offset NULL
\set extensions NULL
\set metadata NULL
\set expires_at NULL
\set indexed true
\set read_from NULL
\set read_until NULL
\set readable_paths NULL
\set readable_prefixes NULL
\set app NULL
\set action '''put'''
\set request_id '''a request'''

BEGIN;

-- Store a memory under a key, in place of the one that has it. One row: what forbids it (unknown, already_ended, whether
-- the memory would supersede itself), the version of the memory that has the key where that matters, and the record; the
-- columns of the record are NULL if nothing was stored.
--
-- A memory that is replaced keeps when it was created, which is when its words are from. If they were read for another
-- time than from :read_from to :read_until, nothing is stored, and the row has that moment.
--
-- Of two at the same moment the second waits at `stored` for the first, and replaces what it left. With :keep_history
-- it may meet there a memory that is newer than its snapshot. Then it stores nothing, and has to be run again.
WITH
-- The memories to be superseded, at most one row per id of :supersedes. Once the locks are there, each row is what the
-- transactions before have left. Always locked in the order of ids, so that two writes seldom meet in a deadlock.
superseded AS (
    SELECT m.id,
        -- Not valid now, and never again. By the clock, not by now(): who waited for a row finds an end that is
        -- later than the beginning of its own transaction.
        coalesce(m.valid_to <= greatest(m.valid_from, clock_timestamp()), false) AS has_ended,
        coalesce(m.key = :key::text, false) AND m.scope IS NOT DISTINCT FROM :scope::text AS has_key
    FROM openmem.memories m
    WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text AND m.id = ANY (:supersedes::text[])
        AND (:granted_paths::text[] IS NULL OR m.scope = ANY (:granted_paths::text[])
            OR m.scope ^@ ANY (:granted_prefixes::text[])) AND (m.expires_at IS NULL OR m.expires_at > now())
    ORDER BY m.id FOR UPDATE
),
-- One row. MATERIALIZED, so that the arrays are made once.
checked AS MATERIALIZED (
    SELECT
        ARRAY(SELECT unnest(:supersedes::text[]) EXCEPT SELECT id FROM superseded) AS unknown,
        ARRAY(
            SELECT s.id FROM superseded s WHERE s.has_ended AND NOT :supersede_ended::boolean ORDER BY s.id
        ) AS already_ended,
        EXISTS (SELECT FROM superseded s WHERE s.has_key AND NOT :keep_history::boolean) AS is_circular
),
-- At most one row: the memory that has the key. It is looked up, and locked, only where its version matters or where it
-- is kept.
present AS (
    SELECT m.id, m.version
    FROM openmem.memories m
    WHERE (:keep_history::boolean OR :if_version::int IS NOT NULL)
        AND m.bucket = :bucket::smallint AND m.user_id = :user_id::text AND m.key IS NOT NULL
            AND openmem.key_digest(m.key) = openmem.key_digest(:key::text)
            AND coalesce(openmem.key_digest(m.scope), '') = coalesce(openmem.key_digest(:scope::text), '') AND (m.expires_at IS NULL OR m.expires_at > now())
    FOR UPDATE
),
-- One row.
decision AS (
    SELECT checked.*, present.id, present.version,
        checked.unknown = '{}' AND checked.already_ended = '{}' AND NOT checked.is_circular
            AND coalesce(coalesce(present.version, 0) = :if_version::int, true) AS is_allowed
    FROM checked LEFT JOIN present ON true
),
-- At most one row: the memory that had the key and is kept without it.
kept AS (
    UPDATE openmem.memories m
    SET key = NULL, updated_at = now(), version = m.version + 1,
        valid_to = CASE WHEN -- Not valid now, and never again. By the clock, not by now(): who waited for a row finds an end that is
        -- later than the beginning of its own transaction.
        coalesce(m.valid_to <= greatest(m.valid_from, clock_timestamp()), false) THEN m.valid_to
            ELSE least(m.valid_to, greatest(m.valid_from, coalesce(:valid_from::timestamptz, now()))) END
    FROM decision
    WHERE m.id = decision.id AND m.bucket = :bucket::smallint AND :keep_history::boolean AND decision.is_allowed
    RETURNING m.id, m.version
),
-- At most one row: the memory as it is stored. In place of one that has expired it is a new one.
stored AS (
    INSERT INTO openmem.memories AS m (
        id, bucket, user_id, ordinal, created_at, content, scope, tags, source, confidence,
        valid_from, valid_to, supersedes, embedding_model, embedding, terms, analysis, utc_offset, extensions,
        metadata, key, version, expires_at, indexed
    )
    SELECT :id::text, :bucket::smallint, :user_id::text,
        -- One more than the user's newest memory has, but for :later memories that are stored already, and as many more as
        -- there are :earlier ones that are yet to be stored before this one, both told by ids with commas between them. Not
        -- max(ordinal): a planner that expects few memories of a user reads them all.
        coalesce((
            SELECT newest.ordinal + (
                SELECT count(*) FROM unnest(string_to_array(:earlier::text, ',')) AS earlier WHERE earlier > newest.id
            )
            FROM openmem.memories newest
            WHERE newest.bucket = :bucket::smallint AND newest.user_id = :user_id::text
                AND strpos(:later::text, newest.id) = 0
            ORDER BY newest.ordinal DESC LIMIT 1
        ), cardinality(string_to_array(:earlier::text, ','))) + 1,
        now(), :content::text, :scope::text, :tags::text[], :source::json, :confidence::float8,
        :valid_from::timestamptz, :valid_to::timestamptz, CASE WHEN kept.id IS NULL OR kept.id = ANY (:supersedes::text[]) THEN :supersedes::text[]
            ELSE coalesce(:supersedes::text[], '{}') || kept.id END,
        :embedding_model::text, :embedding::public.halfvec, :terms::text::public.sparsevec,
        :analysis::int, :utc_offset::int, :extensions::json,
        :metadata::text::jsonb, :key::text, coalesce(kept.version, 1), :expires_at::timestamptz, :indexed::boolean
    FROM decision LEFT JOIN kept ON true
    WHERE decision.is_allowed
    ON CONFLICT (user_id, openmem.key_digest(key), coalesce(openmem.key_digest(scope), ''), bucket)
        WHERE key IS NOT NULL
    DO UPDATE SET
        id = CASE WHEN (m.expires_at IS NULL OR m.expires_at > now()) THEN m.id ELSE excluded.id END,
        ordinal = CASE WHEN (m.expires_at IS NULL OR m.expires_at > now()) THEN m.ordinal ELSE excluded.ordinal END,
        created_at = CASE WHEN (m.expires_at IS NULL OR m.expires_at > now()) THEN m.created_at ELSE excluded.created_at END,
        updated_at = CASE WHEN (m.expires_at IS NULL OR m.expires_at > now()) THEN now() END,
        version = CASE WHEN (m.expires_at IS NULL OR m.expires_at > now()) THEN m.version + 1 ELSE 1 END,
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
    WHERE NOT (m.expires_at IS NULL OR m.expires_at > now()) OR (NOT :keep_history::boolean AND coalesce(m.version = :if_version::int, true)
        AND coalesce(m.created_at BETWEEN :read_from::timestamptz AND :read_until::timestamptz, true))
    RETURNING
        m.id, m.content, m.user_id, m.created_at, m.scope, m.tags, m.source::text, m.confidence,
        m.valid_from, m.valid_to,
        CASE WHEN :readable_paths::text[] IS NULL OR m.supersedes = '{}' THEN m.supersedes ELSE (
            -- The ids of m.supersedes in their order, without those of memories that the caller may not read.
            SELECT array_agg(named.id ORDER BY named.position)
            FROM unnest(m.supersedes) WITH ORDINALITY AS named (id, position)
            CROSS JOIN LATERAL (
                SELECT FROM openmem.memories s
                WHERE s.id = named.id AND s.bucket = :bucket::smallint AND s.user_id = m.user_id
                    AND (:readable_paths::text[] IS NULL OR s.scope = ANY (:readable_paths::text[])
                        OR s.scope ^@ ANY (:readable_prefixes::text[])) AND (s.expires_at IS NULL OR s.expires_at > now())
                -- A fence: without it the planner may read all memories of the user, and join them.
                OFFSET 0
            ) s
        ) END AS supersedes,
        m.embedding_model, m.updated_at, m.metadata::text, m.key, m.version, m.expires_at, m.indexed,
        m.extensions::text
),
-- One row per memory whose validity is not over yet, but for the one that is kept.
validity_closed AS (
    UPDATE openmem.memories m
    SET valid_to = least(m.valid_to, greatest(m.valid_from, coalesce(:valid_from::timestamptz, now()))),
        updated_at = now(), version = m.version + 1
    FROM superseded, stored
    WHERE m.id = superseded.id AND m.bucket = :bucket::smallint
        AND NOT superseded.has_ended AND NOT superseded.has_key
),
-- One row per row of stored.
audit_entry AS (
    SELECT :bucket::smallint AS bucket, stored.user_id, coalesce(:app::text, stored.source::json ->> 'app') AS app,
        :action::text AS action, stored.id AS memory_id, stored.scope
    FROM stored
),
-- The entries in the audit log, one row per row of audit_entry, in the transaction of what they tell of.
audit AS (
    INSERT INTO openmem.audit_log (bucket, user_id, app, action, memory_id, scope, request_id)
    SELECT e.bucket, e.user_id, e.app, e.action, e.memory_id, e.scope, :request_id::text FROM audit_entry e
)
SELECT decision.unknown, decision.already_ended, decision.is_circular, decision.version AS present_version,
    CASE WHEN stored.id IS NULL AND :read_from::timestamptz IS NOT NULL THEN (
        SELECT m.created_at FROM openmem.memories m
        WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text AND m.key IS NOT NULL
            AND openmem.key_digest(m.key) = openmem.key_digest(:key::text)
            AND coalesce(openmem.key_digest(m.scope), '') = coalesce(openmem.key_digest(:scope::text), '') AND (m.expires_at IS NULL OR m.expires_at > now())
    ) END AS present_since, stored.*
FROM decision LEFT JOIN stored ON true;

ROLLBACK;
