-- Close the validity of the memories that those of an add_many supersede. One row per memory named: whether it had
-- ended, and whether the caller may read it; both are NULL if the user has no such memory in a scope that the caller
-- may write.
WITH
-- One row per memory named, and the earliest moment at which one that supersedes it becomes valid.
named AS (
    SELECT n.bucket, n.user_id, n.id, min(coalesce(n.valid_from, now())) AS closes_at
    FROM unnest(:buckets::smallint[], :user_ids::text[], :supersedes::text[], :valid_from::timestamptz[])
        AS n (bucket, user_id, id, valid_from)
    GROUP BY 1, 2, 3
),
-- One row per memory that is there. Once the locks are there, each row is what the transactions before have left.
-- Always locked in the order of ids, so that two writes seldom meet in a deadlock: OFFSET 0 keeps that order.
superseded AS (
    SELECT found.*
    FROM (SELECT * FROM named ORDER BY id OFFSET 0) named
    CROSS JOIN LATERAL (
        SELECT m.id, m.bucket, m.user_id,
            {has_ended} AS has_ended,
            {is_readable(m.scope)} AS is_readable
        FROM {schema}.memories m
        WHERE m.id = named.id AND m.bucket = named.bucket AND m.user_id = named.user_id
            AND {is_granted(m.scope)} AND {not_expired(m)}
        FOR UPDATE
    ) found
),
-- One row per memory whose validity is not over yet.
validity_closed AS (
    UPDATE {schema}.memories m
    SET valid_to = least(m.valid_to, greatest(m.valid_from, named.closes_at)), updated_at = now(), version = m.version + 1
    FROM superseded, named
    WHERE m.id = superseded.id AND m.bucket = superseded.bucket AND NOT superseded.has_ended
        AND named.id = superseded.id AND named.user_id = superseded.user_id
)
SELECT named.user_id, named.id, superseded.has_ended, superseded.is_readable
FROM named LEFT JOIN superseded ON superseded.id = named.id AND superseded.user_id = named.user_id
