-- Made by tools/sql.py; what is changed here is lost.
\set limit 10

BEGIN;

-- Remove memories of all users that have expired, :limit at most. One row: how many were removed.
WITH
-- SKIP LOCKED, so that none waits for another to do the same.
expired AS (
    SELECT m.id FROM openmem.memories m WHERE m.expires_at <= now()
    ORDER BY m.expires_at LIMIT :limit::bigint FOR UPDATE SKIP LOCKED
),
deleted AS (
    -- The rows are locked, so that they are as they were found. By their ids only: with their end as a condition, too, the
    -- planner may go through all that have expired for each batch.
    DELETE FROM openmem.memories m WHERE m.id = ANY (ARRAY(SELECT expired.id FROM expired))
    RETURNING m.id
)
SELECT count(*) FROM deleted;

ROLLBACK;
