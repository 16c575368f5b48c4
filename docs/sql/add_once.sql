-- Made by tools/sql.py; what is changed here is lost.
\set bucket 677
\set user_id '''maya'''
\set supersedes 'ARRAY[''mem_6b1f000000000000n5'']'
\set granted_paths NULL
\set granted_prefixes NULL
\set supersede_ended false
\set idempotency_key '''a digest of the idempotency key'''
\set fingerprint '''a digest of what is added'''
\set id '''mem_6b1g000000000000n5'''
\set valid_from NULL
\set key NULL
\set scope NULL
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
\set readable_paths NULL
\set readable_prefixes NULL
\set app NULL
\set request_id '''a request'''

BEGIN;

-- Store a memory, unless one was stored under the same idempotency key within the lifetime of keys. One row: what
-- forbids it (unknown, already_ended); the id and the fingerprint that the key stands for; the record if it was stored
-- now.
--
-- Of two at the same moment the second waits at `claimed` for the first and then sees its id. It does not see the
-- memory itself, which is newer than its snapshot. If the two supersede something, the second waits at `superseded`,
-- and then sees that this has ended but not by whom.
WITH
-- The memories to be superseded, at most one row per id of :supersedes. Once the locks are there, each row is what the
-- transactions before have left. Always locked in the order of ids, so that two writes seldom meet in a deadlock.
superseded AS (
    SELECT m.id,
        -- Not valid now, and never again. By the clock, not by now(): who waited for a row finds an end that is
        -- later than the beginning of its own transaction.
        coalesce(m.valid_to <= greatest(m.valid_from, clock_timestamp()), false) AS has_ended
    FROM openmem.memories m
    WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text AND m.id = ANY (:supersedes::text[])
        AND (:granted_paths::text[] IS NULL OR m.scope = ANY (:granted_paths::text[])
            OR m.scope ^@ ANY (:granted_prefixes::text[])) AND (m.expires_at IS NULL OR m.expires_at > now())
    ORDER BY m.id FOR UPDATE
),
-- One row. A repetition stores nothing, so that nothing forbids it: what it supersedes ended the first time.
checked AS (
    SELECT
        CASE WHEN key.is_known THEN '{}'
            ELSE ARRAY(SELECT unnest(:supersedes::text[]) EXCEPT SELECT id FROM superseded) END AS unknown,
        CASE WHEN key.is_known THEN '{}' ELSE ARRAY(
            SELECT s.id FROM superseded s WHERE s.has_ended AND NOT :supersede_ended::boolean ORDER BY s.id
        ) END AS already_ended
    FROM (
        SELECT EXISTS (
            SELECT FROM openmem.idempotency_keys k
            WHERE k.bucket = :bucket::smallint AND k.user_id = :user_id::text AND k.key = :idempotency_key::text
                AND k.at >= now() - interval '24 hours'
        ) AS is_known
    ) key
),
-- At most one row: what the key stands for from now on. A key whose lifetime is over is given to the new memory.
-- DO UPDATE also where nothing changes: unlike DO NOTHING it returns the row that was there.
claimed AS (
    INSERT INTO openmem.idempotency_keys AS k (bucket, user_id, key, fingerprint, memory_id, at)
    SELECT :bucket::smallint, :user_id::text, :idempotency_key::text, :fingerprint::text, :id::text, now()
    FROM checked WHERE checked.unknown = '{}' AND checked.already_ended = '{}'
    ON CONFLICT (user_id, key, bucket) DO UPDATE SET
        fingerprint = CASE WHEN k.at < now() - interval '24 hours' THEN excluded.fingerprint ELSE k.fingerprint END,
        memory_id = CASE WHEN k.at < now() - interval '24 hours' THEN excluded.memory_id ELSE k.memory_id END,
        memory_ids = CASE WHEN k.at < now() - interval '24 hours' THEN excluded.memory_ids ELSE k.memory_ids END,
        at = CASE WHEN k.at < now() - interval '24 hours' THEN excluded.at ELSE k.at END
    RETURNING k.memory_id, k.fingerprint
),
-- Up to 10 rows: every write removes a few old keys of its bucket. SKIP LOCKED, so that none waits for another to do
-- the same.
purged AS (
    DELETE FROM openmem.idempotency_keys old
    WHERE old.bucket = :bucket::smallint AND (old.user_id, old.key) IN (
        SELECT k.user_id, k.key FROM openmem.idempotency_keys k
        WHERE k.bucket = :bucket::smallint AND k.at < now() - interval '24 hours'
            AND (k.user_id, k.key) <> (:user_id::text, :idempotency_key::text)
        ORDER BY k.at LIMIT 10 FOR UPDATE SKIP LOCKED
    )
),
-- One row.
decision AS (
    SELECT checked.*, claimed.*, coalesce(claimed.memory_id = :id::text, false) AS is_new
    FROM checked LEFT JOIN claimed ON true
),
-- One row per memory whose validity is not over yet.
validity_closed AS (
    UPDATE openmem.memories m
    SET valid_to = least(m.valid_to, greatest(m.valid_from, coalesce(:valid_from::timestamptz, now()))),
        updated_at = now(), version = m.version + 1
    FROM superseded, decision
    WHERE m.id = superseded.id AND m.bucket = :bucket::smallint AND NOT superseded.has_ended AND decision.is_new
),
-- At most one row: a memory that has expired gives the key up that the new one is to have.
freed AS (
    UPDATE openmem.memories m SET key = NULL
    FROM decision
    WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text AND m.key IS NOT NULL
        AND openmem.key_digest(m.key) = openmem.key_digest(:key::text)
        AND coalesce(openmem.key_digest(m.scope), '') = coalesce(openmem.key_digest(:scope::text), '') AND NOT (m.expires_at IS NULL OR m.expires_at > now()) AND decision.is_new
    RETURNING m.id
),
-- At most one row: the memory as it is stored. It counts what was freed, so that this comes first.
added AS (
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
        :valid_from::timestamptz, :valid_to::timestamptz, :supersedes::text[],
        :embedding_model::text, :embedding::public.halfvec, :terms::text::public.sparsevec,
        :analysis::int, :utc_offset::int, :extensions::json,
        :metadata::text::jsonb, :key::text, 1, :expires_at::timestamptz, :indexed::boolean
    FROM decision CROSS JOIN (SELECT count(*) FROM freed) freed
    WHERE decision.is_new
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
-- One row per row of added.
audit_entry AS (
    SELECT :bucket::smallint AS bucket, added.user_id, coalesce(:app::text, added.source::json ->> 'app') AS app,
        'add' AS action, added.id AS memory_id, added.scope
    FROM added
),
-- The entries in the audit log, one row per row of audit_entry, in the transaction of what they tell of.
audit AS (
    INSERT INTO openmem.audit_log (bucket, user_id, app, action, memory_id, scope, request_id)
    SELECT e.bucket, e.user_id, e.app, e.action, e.memory_id, e.scope, :request_id::text FROM audit_entry e
)
SELECT decision.unknown, decision.already_ended, decision.memory_id, decision.fingerprint, added.*
FROM decision LEFT JOIN added ON true;

ROLLBACK;
