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
    FROM {schema}.memories m
    WHERE m.id = :id::text AND m.bucket = :bucket::smallint
        AND (:users::text[] IS NULL OR m.user_id = ANY (:users::text[]))
        AND {not_expired(m)}
    FOR UPDATE
),
-- The memories to be superseded, at most one row per id of :supersedes. Once the locks are there, each row is what the
-- transactions before have left. Locked in the order of ids, so that two writes seldom meet in a deadlock.
superseded AS (
    SELECT m.id,
        {has_ended} AS has_ended
    FROM {schema}.memories m
    WHERE m.bucket = :bucket::smallint AND m.user_id = (SELECT user_id FROM target)
        AND m.id = ANY (:supersedes::text[])
        AND {is_granted(m.scope)} AND {not_expired(m)}
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
        {is_granted(target.scope)} AS is_granted,
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
    UPDATE {schema}.memories m
    SET valid_to = least(m.valid_to, greatest(m.valid_from, now())), updated_at = now(), version = m.version + 1
    FROM superseded, decision
    WHERE m.id = superseded.id AND m.bucket = :bucket::smallint AND NOT superseded.has_ended AND decision.is_allowed
),
-- At most one row: in a new scope a memory that has expired gives its key up, if it is the same.
freed AS (
    UPDATE {schema}.memories m SET key = NULL
    FROM decision
    WHERE m.bucket = :bucket::smallint AND m.user_id = decision.user_id AND m.key IS NOT NULL
        AND {schema}.key_digest(m.key) = {schema}.key_digest(decision.key)
        AND coalesce({schema}.key_digest(m.scope), '') = coalesce({schema}.key_digest(:scope::text), '')
        AND NOT {not_expired(m)} AND 'scope' = ANY (:changes::text[]) AND decision.is_allowed
    RETURNING m.id
),
-- At most one row: the memory as it is stored. It counts what was freed, so that this comes first.
updated AS (
    UPDATE {schema}.memories m SET
        updated_at = now(),
        version = m.version + 1,
        content = CASE WHEN 'content' = ANY (:changes::text[]) THEN :content::text ELSE m.content END,
        -- NULL where they stay as they are.
        embedding_model = coalesce(:embedding_model::text, m.embedding_model),
        embedding = coalesce(:embedding::{vector}.halfvec, m.embedding),
        terms = coalesce(:terms::text::{vector}.sparsevec, m.terms),
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
        {readable_columns}
),
-- One row per row of updated.
audit_entry AS (
    SELECT :bucket::smallint AS bucket, updated.user_id, {app_of(updated.source)} AS app,
        'update' AS action, updated.id AS memory_id, updated.scope
    FROM updated
){audit_write}
SELECT decision.scope, decision.version AS present_version, decision.is_as_seen, decision.valid_from, decision.valid_to,
    decision.unknown, decision.already_ended, updated.*
FROM decision LEFT JOIN updated ON true
