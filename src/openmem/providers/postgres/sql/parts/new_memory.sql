:id::text, :bucket::smallint, :user_id::text, :earlier::text, :later::text, :content::text, :scope::text,
:tags::text[], :source::json, :confidence::float8, :valid_from::timestamptz, :valid_to::timestamptz,
:supersedes::text[], :embedding_model::text, :embedding::{vector}.halfvec, :terms::text, :analysis::int,
:utc_offset::int, :extensions::json, :metadata::text, :key::text, :expires_at::timestamptz, :indexed::boolean,
:app::text, :request_id::text, {logs_writes}
