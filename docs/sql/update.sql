-- Made by tools/sql.py; what is changed here is lost.
\set was_seen false
\set seen_content NULL
\set seen_indexed NULL
\set seen_valid_from NULL
\set seen_utc_offset NULL
\set id '''mem_6b1f000000000000n5'''
\set bucket 677
\set users NULL
\set supersedes '''{}'''
\set granted_paths NULL
\set granted_prefixes NULL
\set supersede_ended false
\set if_version NULL
\set changes 'ARRAY[''content'', ''tags'']'
\set valid_to NULL
\set valid_from NULL
\set scope NULL
\set content '''I moved to Porto'''
\set embedding_model '''hashing:256'''
\set embedding 'array_fill(0.1::real, ARRAY[256])'
\set terms '''{133238249:1,167142662:1}/536870912'''
\set analysis 1
\set tags 'ARRAY[''home'']'
\set confidence NULL
\set utc_offset NULL
\set metadata NULL
\set expires_at NULL
\set readable_paths NULL
\set readable_prefixes NULL
\set app NULL
\set request_id '''a request'''

BEGIN;

-- Change the fields named in :changes, and close the validity of the memories that this one supersedes from now on. At
-- most one row: what may forbid it (scope, version, is_as_seen, valid_from, valid_to, unknown, already_ended), and the
-- record; the columns of the record are NULL if something does.
WITH
-- At most one row. Memories of users for whom the caller may not act do not exist.
target AS (
    SELECT m.id, m.user_id, m.scope, m.key, m.version, m.valid_from, m.valid_to, m.supersedes,
        -- Whether the memory is still what the words and the vector were made for.
        NOT :was_seen::boolean OR (
            m.content = coalesce(:seen_content::text, m.content) AND m.indexed = :seen_indexed::boolean
            AND m.valid_from IS NOT DISTINCT FROM :seen_valid_from::timestamptz
            AND m.utc_offset IS NOT DISTINCT FROM :seen_utc_offset::int
        ) AS is_as_seen
    FROM openmem.memories m
    WHERE m.id = :id::text AND m.bucket = :bucket::smallint
        AND (:users::text[] IS NULL OR m.user_id = ANY (:users::text[]))
        AND (m.expires_at IS NULL OR m.expires_at > now())
    FOR UPDATE
),
-- The memories to be superseded, at most one row per id of :supersedes. Once the locks are there, each row is what the
-- transactions before have left. Locked in the order of ids, so that two writes seldom meet in a deadlock.
superseded AS (
    SELECT m.id,
        -- Not valid now, and never again. By the clock, not by now(): who waited for a row finds an end that is
        -- later than the beginning of its own transaction.
        coalesce(m.valid_to <= greatest(m.valid_from, clock_timestamp()), false) AS has_ended
    FROM openmem.memories m
    WHERE m.bucket = :bucket::smallint AND m.user_id = (SELECT user_id FROM target)
        AND m.id = ANY (:supersedes::text[])
        AND (:granted_paths::text[] IS NULL OR m.scope = ANY (:granted_paths::text[])
            OR m.scope ^@ ANY (:granted_prefixes::text[])) AND (m.expires_at IS NULL OR m.expires_at > now())
    ORDER BY m.id FOR UPDATE
),
-- One row per row of target. What the memory superseded before may have ended. MATERIALIZED, so that the arrays are
-- made once.
checked AS MATERIALIZED (
    SELECT target.*,
        ARRAY(SELECT unnest(:supersedes::text[]) EXCEPT SELECT id FROM superseded) AS unknown,
        ARRAY(
            SELECT s.id FROM superseded s
            WHERE s.has_ended AND NOT :supersede_ended::boolean
                AND s.id <> ALL (coalesce(target.supersedes, '{}'))
            ORDER BY s.id
        ) AS already_ended,
        (:granted_paths::text[] IS NULL OR target.scope = ANY (:granted_paths::text[])
            OR target.scope ^@ ANY (:granted_prefixes::text[])) AS is_granted,
        coalesce(target.version = :if_version::int, true) AND coalesce(target.is_as_seen, false) AS is_expected,
        coalesce(
            CASE WHEN 'valid_to' = ANY (:changes::text[]) THEN :valid_to::timestamptz ELSE target.valid_to END
            >= CASE WHEN 'valid_from' = ANY (:changes::text[]) THEN :valid_from::timestamptz ELSE target.valid_from END,
            true
        ) OR NOT :changes::text[] && '{valid_from,valid_to}' AS is_in_order
    FROM target
),
-- One row per row of target.
decision AS (
    SELECT checked.*, is_granted AND is_expected AND is_in_order AND unknown = '{}' AND already_ended = '{}' AS is_allowed
    FROM checked
),
-- One row per memory whose validity is not over yet.
validity_closed AS (
    UPDATE openmem.memories m
    SET valid_to = least(m.valid_to, greatest(m.valid_from, now())), updated_at = now(), version = m.version + 1
    FROM superseded, decision
    WHERE m.id = superseded.id AND m.bucket = :bucket::smallint AND NOT superseded.has_ended AND decision.is_allowed
),
-- At most one row: in a new scope a memory that has expired gives its key up, if it is the same.
freed AS (
    UPDATE openmem.memories m SET key = NULL
    FROM decision
    WHERE m.bucket = :bucket::smallint AND m.user_id = decision.user_id AND m.key IS NOT NULL
        AND openmem.key_digest(m.key) = openmem.key_digest(decision.key)
        AND coalesce(openmem.key_digest(m.scope), '') = coalesce(openmem.key_digest(:scope::text), '')
        AND NOT (m.expires_at IS NULL OR m.expires_at > now()) AND 'scope' = ANY (:changes::text[]) AND decision.is_allowed
    RETURNING m.id
),
-- At most one row: the memory as it is stored. It counts what was freed, so that this comes first.
updated AS (
    UPDATE openmem.memories m SET
        updated_at = now(),
        version = m.version + 1,
        content = CASE WHEN 'content' = ANY (:changes::text[]) THEN :content::text ELSE m.content END,
        -- NULL where they stay as they are.
        embedding_model = coalesce(:embedding_model::text, m.embedding_model),
        embedding = coalesce(:embedding::public.halfvec, m.embedding),
        terms = coalesce(:terms::text::public.sparsevec, m.terms),
        analysis = coalesce(:analysis::int, m.analysis),
        scope = CASE WHEN 'scope' = ANY (:changes::text[]) THEN :scope::text ELSE m.scope END,
        tags = CASE WHEN 'tags' = ANY (:changes::text[]) THEN :tags::text[] ELSE m.tags END,
        confidence = CASE WHEN 'confidence' = ANY (:changes::text[]) THEN :confidence::float8 ELSE m.confidence END,
        valid_from =
            CASE WHEN 'valid_from' = ANY (:changes::text[]) THEN :valid_from::timestamptz ELSE m.valid_from END,
        utc_offset = CASE WHEN 'valid_from' = ANY (:changes::text[]) THEN :utc_offset::int ELSE m.utc_offset END,
        metadata = CASE WHEN 'metadata' = ANY (:changes::text[]) THEN :metadata::text::jsonb ELSE m.metadata END,
        expires_at =
            CASE WHEN 'expires_at' = ANY (:changes::text[]) THEN :expires_at::timestamptz ELSE m.expires_at END,
        valid_to = CASE WHEN 'valid_to' = ANY (:changes::text[]) THEN :valid_to::timestamptz ELSE m.valid_to END,
        -- Behind the ids that were there, the new ones in the order in which they were given first.
        supersedes = CASE WHEN :supersedes::text[] = '{}' THEN m.supersedes ELSE
            coalesce(m.supersedes, '{}') || ARRAY(
                SELECT new.id FROM unnest(:supersedes::text[]) WITH ORDINALITY AS new (id, position)
                WHERE new.id <> ALL (coalesce(m.supersedes, '{}'))
                GROUP BY new.id ORDER BY min(new.position)
            )
        END
    FROM decision CROSS JOIN (SELECT count(*) FROM freed) freed
    WHERE m.id = decision.id AND m.bucket = :bucket::smallint AND decision.is_allowed
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
-- One row per row of updated.
audit_entry AS (
    SELECT :bucket::smallint AS bucket, updated.user_id, coalesce(:app::text, updated.source::json ->> 'app') AS app,
        'update' AS action, updated.id AS memory_id, updated.scope
    FROM updated
),
-- The entries in the audit log, one row per row of audit_entry, in the transaction of what they tell of.
audit AS (
    INSERT INTO openmem.audit_log (bucket, user_id, app, action, memory_id, scope, request_id)
    SELECT e.bucket, e.user_id, e.app, e.action, e.memory_id, e.scope, :request_id::text FROM audit_entry e
)
SELECT decision.scope, decision.version AS present_version, decision.is_as_seen, decision.valid_from, decision.valid_to,
    decision.unknown, decision.already_ended, updated.*
FROM decision LEFT JOIN updated ON true;

ROLLBACK;
