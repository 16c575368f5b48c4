-- Made by tools/sql.py; what is changed here is lost.
\set bucket 677
\set user_id '''maya'''
\set idempotency_key '''a digest of the idempotency key'''
\set fingerprint '''a digest of what is added'''
\set ids 'ARRAY[''mem_6b1f000000000000n5'']'

BEGIN;

-- Let an idempotency key stand for the memories of an add_many, unless it stands for others within the lifetime of keys.
-- One row: the ids that it stands for (NULL if for the memory of an add), and the fingerprint of what was asked for.
SELECT stands_for_ids, asked_for
FROM openmem.claim_key(
    :bucket::smallint, :user_id::text, :idempotency_key::text, :fingerprint::text, (:ids::text[])[1], :ids::text[]
);

ROLLBACK;
