-- Remove a memory. At most one row: its scope and its version, also if they forbid it.
SELECT * FROM {schema}.delete_memory(
    :id::text, :bucket::smallint, :users::text[], :if_version::int, :app::text, :request_id::text, {logs_writes},
    :granted_paths::text[], :granted_prefixes::text[]
)
