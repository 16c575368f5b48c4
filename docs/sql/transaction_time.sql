-- Made by tools/sql.py; what is changed here is lost.

BEGIN;

-- The time of the transaction.
SELECT now();

ROLLBACK;
