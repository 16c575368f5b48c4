-- Made by tools/sql.py; what is changed here is lost.
\set with_content true
\set id '''mem_6b1f000000000000n5'''
\set bucket 677
\set users NULL

BEGIN;

-- What an update of a memory's text or of its date needs to know of the memory. At most one row.
SELECT CASE WHEN :with_content::boolean THEN m.content END, m.created_at, m.valid_from, m.utc_offset, m.indexed
FROM openmem.memories m
WHERE m.id = :id::text AND m.bucket = :bucket::smallint
    AND (:users::text[] IS NULL OR m.user_id = ANY (:users::text[]))
    AND (m.expires_at IS NULL OR m.expires_at > now());

ROLLBACK;
