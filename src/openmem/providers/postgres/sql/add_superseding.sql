-- Store a memory, and close the validity of those that it supersedes. One row: what forbids it (unknown,
-- already_ended), and the record; the columns of the record are NULL if something does.
WITH
-- The memories to be superseded, at most one row per id of :supersedes. Once the locks are there, each row is what the
-- transactions before have left. Always locked in the order of ids, so that two writes seldom meet in a deadlock.
superseded AS (
    SELECT m.id,
        {has_ended} AS has_ended
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
        ) AS already_ended
),
-- One row.
decision AS (
    SELECT checked.*, checked.unknown = '{}' AND checked.already_ended = '{}' AS is_allowed FROM checked
),
-- One row per memory whose validity is not over yet.
validity_closed AS (
    UPDATE {schema}.memories m
    SET valid_to = least(m.valid_to, greatest(m.valid_from, coalesce(:valid_from::timestamptz, now()))),
        updated_at = now(), version = m.version + 1
    FROM superseded, decision
    WHERE m.id = superseded.id AND m.bucket = :bucket::smallint AND NOT superseded.has_ended AND decision.is_allowed
),
-- At most one row: the memory as it is stored.
added AS (
    {insert_memory}
    FROM decision WHERE decision.is_allowed
    RETURNING
        {readable_columns}
),
-- One row per row of added.
audit_entry AS (
    SELECT :bucket::smallint AS bucket, added.user_id, {app_of(added.source)} AS app,
        'add' AS action, added.id AS memory_id, added.scope
    FROM added
){audit_write}
SELECT decision.unknown, decision.already_ended, added.* FROM decision LEFT JOIN added ON true
