-- Remove those of some memories of a user that are selected. One row: how many were removed.
WITH deleted AS (
    DELETE FROM {schema}.memories m
    WHERE m.bucket = :bucket::smallint
        AND {candidates}
    RETURNING m.id
)
SELECT count(*) FROM deleted
