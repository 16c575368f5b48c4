-- Those of some memories that are there. Up to one row per id: its record.
SELECT
    {columns}
FROM {schema}.memories m
WHERE m.id = ANY (:ids::text[]) AND m.bucket = ANY (:buckets::smallint[]) AND {not_expired(m)}
