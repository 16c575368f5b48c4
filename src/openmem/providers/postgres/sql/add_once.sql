-- Store a memory, and close the validity of those that it supersedes; with an idempotency key, unless one was stored
-- under the same key within the lifetime of keys. One row: what forbids it (unknown, already_ended); the id and the
-- fingerprint that the key stands for; when it was created, NULL if it was not stored now; those of the superseded ids
-- that the caller may read.
SELECT * FROM {schema}.add_memory_once(
    {new_memory},
    :supersede_ended::boolean, :granted_paths::text[], :granted_prefixes::text[], :readable_paths::text[],
    :readable_prefixes::text[], :idempotency_key::text, :fingerprint::text
)
