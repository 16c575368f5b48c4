-- Made by tools/sql.py; what is changed here is lost.
\set bucket 677
\set user_id '''maya'''
\set last_moment NULL
\set limit 10

BEGIN;

-- Remove a user's next audit entries, from the moment on at which the last ones removed were written. At most one row,
-- none if there are no more: how many were removed, and when the last was written.
WITH
-- Up to :limit rows, the oldest first.
page AS MATERIALIZED (
    SELECT a.id, a.at
    FROM openmem.audit_log a
    WHERE a.bucket = :bucket::smallint AND a.user_id = :user_id::text
        AND a.at >= coalesce(:last_moment::timestamptz, '-infinity')
    ORDER BY a.at
    LIMIT :limit::bigint
),
deleted AS (
    DELETE FROM openmem.audit_log a
    WHERE a.bucket = :bucket::smallint AND a.id = ANY (ARRAY(SELECT page.id FROM page))
    RETURNING a.id
)
SELECT (SELECT count(*) FROM deleted) AS entries, page.at
FROM page
ORDER BY page.at DESC
LIMIT 1;

ROLLBACK;
