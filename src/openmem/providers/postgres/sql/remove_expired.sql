-- Remove those of some memories that have expired, so that their ids can be used again. No rows.
WITH
expired AS (
    SELECT other.*
    FROM unnest(:ids::text[], :buckets::smallint[]) AS given (id, bucket)
    CROSS JOIN LATERAL (
        SELECT m.id, m.bucket FROM {schema}.memories m
        WHERE m.id = given.id AND m.bucket = given.bucket AND NOT {not_expired(m)}
        -- A fence: each memory is looked up by its id; without it the planner may join with the whole table.
        OFFSET 0
    ) other
),
removed AS (
    DELETE FROM {schema}.memories m USING expired WHERE m.id = expired.id AND m.bucket = expired.bucket
)
SELECT
