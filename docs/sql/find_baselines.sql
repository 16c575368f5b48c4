-- Made by tools/sql.py; what is changed here is lost.
\set embedding_model '''hashing:256'''

BEGIN;

-- One row: whether the baselines of a model are stored.
SELECT EXISTS (SELECT FROM openmem.baselines b WHERE b.embedding_model = :embedding_model::text);

ROLLBACK;
