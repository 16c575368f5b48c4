-- Made by tools/sql.py; what is changed here is lost.
\set analysis 2
\set everything false

BEGIN;

-- How many memories of all users another version of the analysis than :analysis read. One row. Reads the whole table.
SELECT count(*) FROM openmem.memories m
WHERE (m.analysis IS DISTINCT FROM :analysis::int OR :everything::boolean) AND m.indexed AND (m.expires_at IS NULL OR m.expires_at > now());

ROLLBACK;
