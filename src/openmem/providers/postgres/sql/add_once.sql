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
        {has_ended} AS has_ended
    FROM {schema}.memories m
    WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text AND m.id = ANY (:supersedes::text[])
        AND {is_granted(m.scope)} AND {not_expired(m)}
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
            SELECT FROM {schema}.idempotency_keys k
            WHERE k.bucket = :bucket::smallint AND k.user_id = :user_id::text AND k.key = :idempotency_key::text
                AND k.at >= now() - {key_lifetime}
        ) AS is_known
    ) key
),
-- At most one row: what the key stands for from now on. A key whose lifetime is over is given to the new memory.
-- DO UPDATE also where nothing changes: unlike DO NOTHING it returns the row that was there.
claimed AS (
    INSERT INTO {schema}.idempotency_keys AS k (bucket, user_id, key, fingerprint, memory_id, at)
    SELECT :bucket::smallint, :user_id::text, :idempotency_key::text, :fingerprint::text, :id::text, now()
    FROM checked WHERE checked.unknown = '{}' AND checked.already_ended = '{}'
    {renew_idempotency_key}
    RETURNING k.memory_id, k.fingerprint
),
-- Up to 10 rows: every write removes a few old keys of its bucket. SKIP LOCKED, so that none waits for another to do
-- the same.
purged AS (
    {purge_idempotency_keys}
),
-- One row.
decision AS (
    SELECT checked.*, claimed.*, coalesce(claimed.memory_id = :id::text, false) AS is_new
    FROM checked LEFT JOIN claimed ON true
),
-- One row per memory whose validity is not over yet.
validity_closed AS (
    UPDATE {schema}.memories m
    SET valid_to = least(m.valid_to, greatest(m.valid_from, coalesce(:valid_from::timestamptz, now()))),
        updated_at = now(), version = m.version + 1
    FROM superseded, decision
    WHERE m.id = superseded.id AND m.bucket = :bucket::smallint AND NOT superseded.has_ended AND decision.is_new
),
-- At most one row: a memory that has expired gives the key up that the new one is to have.
freed AS (
    UPDATE {schema}.memories m SET key = NULL
    FROM decision
    WHERE m.bucket = :bucket::smallint AND {has_key(m)} AND NOT {not_expired(m)} AND decision.is_new
    RETURNING m.id
),
-- At most one row: the memory as it is stored. It counts what was freed, so that this comes first.
added AS (
    {insert_memory}
    FROM decision CROSS JOIN (SELECT count(*) FROM freed) freed
    WHERE decision.is_new
    RETURNING
        {readable_columns}
),
-- One row per row of added.
audit_entry AS (
    SELECT :bucket::smallint AS bucket, added.user_id, {app_of(added.source)} AS app,
        'add' AS action, added.id AS memory_id, added.scope
    FROM added
){audit_write}
SELECT decision.unknown, decision.already_ended, decision.memory_id, decision.fingerprint, added.*
FROM decision LEFT JOIN added ON true
