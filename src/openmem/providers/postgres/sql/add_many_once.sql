-- Let an idempotency key stand for the memories of an add_many, unless it stands for others within the lifetime of keys.
-- One row: the ids that it stands for (NULL if for the memory of an add), and the fingerprint of what was asked for.
SELECT stands_for_ids, asked_for
FROM {schema}.claim_key(
    :bucket::smallint, :user_id::text, :idempotency_key::text, :fingerprint::text, (:ids::text[])[1], :ids::text[]
)
