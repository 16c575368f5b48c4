-- The time of the transaction.
SELECT now()
