-- Made by tools/sql.py; what is changed here is lost.
\set after_id ''''''
\set limit 10
\set ended_before NULL

BEGIN;

-- Remove those of the next memories of all users, behind :after_id, whose validity ended before a moment. At most one
-- row, none if there are no more: how many were removed, and the id of the last memory that was looked at.
WITH
-- Up to :limit rows, in the order of ids.
page AS MATERIALIZED (
    SELECT m.id, m.valid_to FROM openmem.memories m WHERE m.id > :after_id::text ORDER BY m.id LIMIT :limit::bigint
),
-- One row per memory. A memory that was changed meanwhile is looked at once more.
deleted AS (
    DELETE FROM openmem.memories m
    WHERE m.id = ANY (ARRAY(
            SELECT page.id FROM page WHERE page.valid_to < least(:ended_before::timestamptz, now())
        ))
        AND m.valid_to < least(:ended_before::timestamptz, now())
    RETURNING m.id
)
SELECT (SELECT count(*) FROM deleted) AS memories, page.id FROM page ORDER BY page.id DESC LIMIT 1;

ROLLBACK;
