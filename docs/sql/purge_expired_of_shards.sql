-- Made by tools/sql.py; what is changed here is lost.
\set limit 10

BEGIN;

-- Remove memories of all users that have expired, :limit at most, where the tables are divided over several nodes: a lock
-- on rows of many nodes cannot be skipped there. One row: how many were removed.
WITH
expired AS MATERIALIZED (
    SELECT m.id FROM openmem.memories m WHERE m.expires_at <= now()
    ORDER BY m.expires_at LIMIT :limit::bigint
),
deleted AS (
    -- A memory that was changed meanwhile is looked at once more. IS TRUE hides the condition from the index, so that
    -- memories are looked up by their ids, and not all that have expired for each batch.
    DELETE FROM openmem.memories m
    WHERE m.id = ANY (ARRAY(SELECT expired.id FROM expired)) AND (m.expires_at <= now()) IS TRUE
    RETURNING m.id
)
SELECT count(*) FROM deleted;

ROLLBACK;
