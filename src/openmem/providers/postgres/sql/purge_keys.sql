-- Remove idempotency keys of all users whose lifetime is over, :limit at most. One row: how many were removed.
SELECT {schema}.purge_keys(:limit::bigint)
