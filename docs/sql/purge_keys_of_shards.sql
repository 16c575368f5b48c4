-- Made by tools/sql.py; what is changed here is lost.
\set limit 10

BEGIN;

-- Remove idempotency keys of all users whose lifetime is over, :limit at most, where the tables are divided over several
-- nodes: asked bucket by bucket, the nodes would take a thousand statements. One row: how many were removed.
WITH
old AS MATERIALIZED (
    SELECT k.bucket, k.user_id, k.key FROM openmem.idempotency_keys k
    WHERE k.at < now() - interval '24 hours' LIMIT :limit::bigint
),
deleted AS (
    -- A key that was used anew meanwhile is looked at once more.
    DELETE FROM openmem.idempotency_keys k USING old
    WHERE k.bucket = old.bucket AND k.user_id = old.user_id AND k.key = old.key
        AND (k.at < now() - interval '24 hours') IS TRUE
    RETURNING k.key
)
SELECT count(*) FROM deleted;

ROLLBACK;
