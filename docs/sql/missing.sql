-- Made by tools/sql.py; what is changed here is lost.
\set ids 'ARRAY[''mem_6b1f000000000000n5'']'
\set bucket 677
\set user_id '''maya'''

BEGIN;

-- Those of some ids that name no memory of the user. One row: an array.
SELECT ARRAY(
    SELECT unnest(:ids::text[])
    EXCEPT
    SELECT m.id
    FROM unnest(:ids::text[]) AS given (id)
    CROSS JOIN LATERAL (
        SELECT m.id, m.user_id FROM openmem.memories m
        WHERE m.id = given.id AND m.bucket = :bucket::smallint AND (m.expires_at IS NULL OR m.expires_at > now())
        -- A fence: with the condition on the user inside, the planner may read all memories of the user instead.
        OFFSET 0
    ) m
    WHERE m.user_id = :user_id::text
);

ROLLBACK;
