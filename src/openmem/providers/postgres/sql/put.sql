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
        {has_ended} AS has_ended,
        coalesce(m.key = :key::text, false) AND m.scope IS NOT DISTINCT FROM :scope::text AS has_key
    FROM {schema}.memories m
    WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text AND m.id = ANY (:supersedes::text[])
        AND {is_granted(m.scope)} AND {not_expired(m)}
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
    FROM {schema}.memories m
    WHERE (:keep_history::boolean OR :if_version::int IS NOT NULL)
        AND m.bucket = :bucket::smallint AND {has_key(m)} AND {not_expired(m)}
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
    UPDATE {schema}.memories m
    SET key = NULL, updated_at = now(), version = m.version + 1,
        valid_to = CASE WHEN {has_ended} THEN m.valid_to
            ELSE least(m.valid_to, greatest(m.valid_from, coalesce(:valid_from::timestamptz, now()))) END
    FROM decision
    WHERE m.id = decision.id AND m.bucket = :bucket::smallint AND :keep_history::boolean AND decision.is_allowed
    RETURNING m.id, m.version
),
-- At most one row: the memory as it is stored. In place of one that has expired it is a new one.
stored AS (
    {insert_memory}
    FROM decision LEFT JOIN kept ON true
    WHERE decision.is_allowed
    ON CONFLICT (user_id, {schema}.key_digest(key), coalesce({schema}.key_digest(scope), ''), bucket)
        WHERE key IS NOT NULL
    DO UPDATE SET
        id = CASE WHEN {not_expired(m)} THEN m.id ELSE excluded.id END,
        ordinal = CASE WHEN {not_expired(m)} THEN m.ordinal ELSE excluded.ordinal END,
        created_at = CASE WHEN {not_expired(m)} THEN m.created_at ELSE excluded.created_at END,
        updated_at = CASE WHEN {not_expired(m)} THEN now() END,
        version = CASE WHEN {not_expired(m)} THEN m.version + 1 ELSE 1 END,
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
    WHERE NOT {not_expired(m)} OR (NOT :keep_history::boolean AND coalesce(m.version = :if_version::int, true)
        AND coalesce(m.created_at BETWEEN :read_from::timestamptz AND :read_until::timestamptz, true))
    RETURNING
        {readable_columns}
),
-- One row per memory whose validity is not over yet, but for the one that is kept.
validity_closed AS (
    UPDATE {schema}.memories m
    SET valid_to = least(m.valid_to, greatest(m.valid_from, coalesce(:valid_from::timestamptz, now()))),
        updated_at = now(), version = m.version + 1
    FROM superseded, stored
    WHERE m.id = superseded.id AND m.bucket = :bucket::smallint
        AND NOT superseded.has_ended AND NOT superseded.has_key
),
-- One row per row of stored.
audit_entry AS (
    SELECT :bucket::smallint AS bucket, stored.user_id, {app_of(stored.source)} AS app,
        :action::text AS action, stored.id AS memory_id, stored.scope
    FROM stored
){audit_write}
SELECT decision.unknown, decision.already_ended, decision.is_circular, decision.version AS present_version,
    CASE WHEN stored.id IS NULL AND :read_from::timestamptz IS NOT NULL THEN (
        SELECT m.created_at FROM {schema}.memories m
        WHERE m.bucket = :bucket::smallint AND {has_key(m)} AND {not_expired(m)}
    ) END AS present_since, stored.*
FROM decision LEFT JOIN stored ON true
