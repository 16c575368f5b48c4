-- Made by tools/sql.py; what is changed here is lost.
\set limit 10

BEGIN;

-- Remove idempotency keys of all users whose lifetime is over, :limit at most. One row: how many were removed.
SELECT openmem.purge_keys(:limit::bigint);

ROLLBACK;
