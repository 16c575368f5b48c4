-- Made by tools/sql.py; what is changed here is lost.
\set bucket 677
\set user_id '''maya'''
\set last_moment NULL
\set last_id NULL
\set limit 10

BEGIN;

-- Remove a user's next memories, from the position on behind which they are. At most one row, none if there are no more:
-- how many were removed, and the position of the last.
WITH
-- Up to :limit rows, the oldest first.
page AS MATERIALIZED (
    SELECT m.id, m.created_at
    FROM openmem.memories m
    WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text
        AND (m.created_at, m.id) > (coalesce(:last_moment::timestamptz, '-infinity'), coalesce(:last_id::text, ''))
    ORDER BY m.created_at, m.id
    LIMIT :limit::bigint
),
deleted AS (
    DELETE FROM openmem.memories m
    WHERE m.bucket = :bucket::smallint AND m.id = ANY (ARRAY(SELECT page.id FROM page))
    RETURNING m.id
)
SELECT (SELECT count(*) FROM deleted) AS memories, page.created_at, page.id
FROM page
ORDER BY page.created_at DESC, page.id DESC
LIMIT 1;

ROLLBACK;
