-- Change the fields named in :changes, and close the validity of the memories that this one supersedes from now on. At
-- most one row: what may forbid it (present_scope, present_version, is_as_seen, present_from, present_to, unknown,
-- already_ended), and the record; the columns of the record are NULL if something does.
SELECT * FROM {schema}.update_memory(
    :id::text, :bucket::smallint, :users::text[], :changes::text[], :was_seen::boolean, :seen_content::text,
    :seen_indexed::boolean, :seen_valid_from::timestamptz, :seen_utc_offset::int, :content::text,
    :embedding_model::text, :embedding::{vector}.halfvec, :terms::text, :analysis::int, :scope::text, :tags::text[],
    :confidence::float8, :valid_from::timestamptz, :utc_offset::int, :valid_to::timestamptz, :metadata::text,
    :expires_at::timestamptz, :if_version::int, :supersedes::text[], :supersede_ended::boolean, :app::text,
    :request_id::text, {logs_writes}, :granted_paths::text[], :granted_prefixes::text[], :readable_paths::text[],
    :readable_prefixes::text[]
)
