INSERT INTO {schema}.memories AS m (
    id, bucket, user_id, ordinal, created_at, content, scope, tags, source, confidence,
    valid_from, valid_to, supersedes, embedding_model, embedding, terms, analysis, utc_offset, extensions,
    metadata, key, version, expires_at, indexed
)
SELECT :id::text, :bucket::smallint, :user_id::text,
    -- One more than the user's newest memory has, but for :later memories that are stored already, and as many more as
    -- there are :earlier ones that are yet to be stored before this one, both told by ids with commas between them. Not
    -- max(ordinal): a planner that expects few memories of a user reads them all.
    coalesce((
        SELECT newest.ordinal + (
            SELECT count(*) FROM unnest(string_to_array(:earlier::text, ',')) AS earlier WHERE earlier > newest.id
        )
        FROM {schema}.memories newest
        WHERE newest.bucket = :bucket::smallint AND newest.user_id = :user_id::text
            AND strpos(:later::text, newest.id) = 0
        ORDER BY newest.ordinal DESC LIMIT 1
    ), cardinality(string_to_array(:earlier::text, ','))) + 1,
    now(), :content::text, :scope::text, :tags::text[], :source::json, :confidence::float8,
    :valid_from::timestamptz, :valid_to::timestamptz, {new_supersedes},
    :embedding_model::text, :embedding::{vector}.halfvec, :terms::text::{vector}.sparsevec,
    :analysis::int, :utc_offset::int, :extensions::json,
    :metadata::text::jsonb, :key::text, {new_version}, :expires_at::timestamptz, :indexed::boolean
