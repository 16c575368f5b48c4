-- Made by tools/sql.py; what is changed here is lost.
\set ids 'ARRAY[''mem_6b1g000000000000n5'']'
\set buckets 'ARRAY[677]'
\set user_ids 'ARRAY[''maya'']'
\set keys 'ARRAY[''home'']'
\set scopes 'ARRAY[NULL]'

BEGIN;

-- Find the keys of new memories that other memories of their users have. One row for each that is in use: the number of
-- the new memory among those given, from 1. Memories that have expired give their keys up.
WITH
-- Up to one row per new memory: the memory that has its key.
found AS (
    SELECT given.number, other.*
    FROM unnest(:ids::text[], :buckets::smallint[], :user_ids::text[], :keys::text[], :scopes::text[]) WITH ORDINALITY
        AS given (id, bucket, user_id, key, scope, number)
    CROSS JOIN LATERAL (
        SELECT m.id, m.bucket, (m.expires_at IS NULL OR m.expires_at > now()) AS is_there
        FROM openmem.memories m
        WHERE m.bucket = given.bucket AND m.user_id = given.user_id AND m.key IS NOT NULL AND m.id <> given.id
            AND openmem.key_digest(m.key) = openmem.key_digest(given.key)
            AND coalesce(openmem.key_digest(m.scope), '') = coalesce(openmem.key_digest(given.scope), '')
        -- A fence: each key is looked up in the index of keys.
        OFFSET 0
    ) other
),
freed AS (
    UPDATE openmem.memories m SET key = NULL
    FROM found
    WHERE m.id = found.id AND m.bucket = found.bucket AND NOT found.is_there
)
SELECT found.number FROM found WHERE found.is_there ORDER BY found.number;

ROLLBACK;
