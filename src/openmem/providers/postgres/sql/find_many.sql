-- Those of some memories that are there. Up to one row per id: its record.
SELECT
    {columns}
FROM unnest(:ids::text[], :buckets::smallint[]) AS given (id, bucket)
CROSS JOIN LATERAL (
    SELECT * FROM {schema}.memories m WHERE m.id = given.id AND m.bucket = given.bucket AND {not_expired(m)}
    -- A fence: each memory is looked up by its id; without it the planner may join with the whole table.
    OFFSET 0
) m
