-- How many memories of all users another model than :embedding_model embedded. One row. Reads the whole table.
SELECT count(*) FROM {schema}.memories m
WHERE m.embedding_model IS DISTINCT FROM :embedding_model::text AND m.indexed AND {not_expired(m)}
