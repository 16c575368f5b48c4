-- Remove those of the next audit entries of all users, behind :after_number, that are from before a moment. At most one
-- row, none if there are no more: how many were removed, and the number of the last entry that was looked at.
WITH
-- Up to :limit rows, in the order in which they were written.
page AS MATERIALIZED (
    SELECT a.id, a.bucket, a.at FROM {schema}.audit_log a
    WHERE a.id > :after_number::bigint ORDER BY a.id LIMIT :limit::bigint
),
deleted AS (
    DELETE FROM {schema}.audit_log a
    WHERE a.id = ANY (ARRAY(SELECT page.id FROM page WHERE page.at < :audit_before::timestamptz))
    RETURNING a.id
)
SELECT (SELECT count(*) FROM deleted) AS entries, page.id FROM page ORDER BY page.id DESC LIMIT 1
