-- How many memories of all users another version of the analysis than :analysis read. One row. Reads the whole table.
SELECT count(*) FROM {schema}.memories m
WHERE (m.analysis IS DISTINCT FROM :analysis::int OR :everything::boolean) AND m.indexed AND {not_expired(m)}
