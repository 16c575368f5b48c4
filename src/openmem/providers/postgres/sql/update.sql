-- Change the fields named in :changes, and close the validity of the memories that this one supersedes from now on. At
-- most one row: what may forbid it (scope, valid_from, unknown, already_ended), and the record; the columns of the
-- record are NULL if something does.
WITH
-- At most one row. Memories of users for whom the caller may not act do not exist.
target AS (
    SELECT m.id, m.user_id, m.scope, m.valid_from, m.supersedes
    FROM {schema}.memories m
    WHERE m.id = :id::text AND m.bucket = :bucket::smallint
        AND (:users::text[] IS NULL OR m.user_id = ANY (:users::text[]))
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
        AND {is_granted(m.scope)}
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
        coalesce(:valid_to::timestamptz >= target.valid_from, true) AS is_in_order
    FROM target
),
-- One row per row of target.
decision AS (
    SELECT checked.*, is_granted AND is_in_order AND unknown = '{}' AND already_ended = '{}' AS is_allowed
    FROM checked
),
-- One row per memory whose validity is not over yet.
validity_closed AS (
    UPDATE {schema}.memories m
    SET valid_to = least(m.valid_to, greatest(m.valid_from, now())), updated_at = now(), version = m.version + 1
    FROM superseded, decision
    WHERE m.id = superseded.id AND m.bucket = :bucket::smallint AND NOT superseded.has_ended AND decision.is_allowed
),
-- At most one row: the memory as it is stored.
updated AS (
    UPDATE {schema}.memories m SET
        updated_at = now(),
        version = m.version + 1,
        content = CASE WHEN 'content' = ANY (:changes::text[]) THEN :content::text ELSE m.content END,
        embedding_model =
            CASE WHEN 'content' = ANY (:changes::text[]) THEN :embedding_model::text ELSE m.embedding_model END,
        embedding =
            CASE WHEN 'content' = ANY (:changes::text[]) THEN :embedding::{vector}.halfvec ELSE m.embedding END,
        terms =
            CASE WHEN 'content' = ANY (:changes::text[]) THEN :terms::text::{vector}.sparsevec ELSE m.terms END,
        analysis = CASE WHEN 'content' = ANY (:changes::text[]) THEN :analysis::int ELSE m.analysis END,
        scope = CASE WHEN 'scope' = ANY (:changes::text[]) THEN :scope::text ELSE m.scope END,
        tags = CASE WHEN 'tags' = ANY (:changes::text[]) THEN :tags::text[] ELSE m.tags END,
        confidence = CASE WHEN 'confidence' = ANY (:changes::text[]) THEN :confidence::float8 ELSE m.confidence END,
        valid_to = CASE WHEN 'valid_to' = ANY (:changes::text[]) THEN :valid_to::timestamptz ELSE m.valid_to END,
        -- Behind the ids that were there, the new ones in the order in which they were given first.
        supersedes = CASE WHEN :supersedes::text[] = '{}' THEN m.supersedes ELSE
            coalesce(m.supersedes, '{}') || ARRAY(
                SELECT new.id FROM unnest(:supersedes::text[]) WITH ORDINALITY AS new (id, position)
                WHERE new.id <> ALL (coalesce(m.supersedes, '{}'))
                GROUP BY new.id ORDER BY min(new.position)
            )
        END
    FROM decision
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
SELECT decision.scope, decision.valid_from, decision.unknown, decision.already_ended, updated.*
FROM decision LEFT JOIN updated ON true
