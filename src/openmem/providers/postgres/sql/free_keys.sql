-- Find the keys of new memories that other memories of their users have. One row for each that is in use: the number of
-- the new memory among those given, from 1. Memories that have expired give their keys up.
WITH
-- Up to one row per new memory: the memory that has its key.
found AS (
    SELECT given.number, other.*
    FROM unnest(:ids::text[], :buckets::smallint[], :user_ids::text[], :keys::text[], :scopes::text[]) WITH ORDINALITY
        AS given (id, bucket, user_id, key, scope, number)
    CROSS JOIN LATERAL (
        SELECT m.id, m.bucket, {not_expired(m)} AS is_there
        FROM {schema}.memories m
        WHERE m.bucket = given.bucket AND m.user_id = given.user_id AND m.key IS NOT NULL AND m.id <> given.id
            AND {schema}.key_digest(m.key) = {schema}.key_digest(given.key)
            AND coalesce({schema}.key_digest(m.scope), '') = coalesce({schema}.key_digest(given.scope), '')
        -- A fence: each key is looked up in the index of keys.
        OFFSET 0
    ) other
),
freed AS (
    UPDATE {schema}.memories m SET key = NULL
    FROM found
    WHERE m.id = found.id AND m.bucket = found.bucket AND NOT found.is_there
)
SELECT found.number FROM found WHERE found.is_there ORDER BY found.number
