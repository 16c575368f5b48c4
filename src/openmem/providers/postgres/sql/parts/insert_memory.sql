INSERT INTO {schema}.memories AS m (
    id, bucket, user_id, ordinal, created_at, content, scope, tags, source, confidence,
    valid_from, valid_to, supersedes, embedding_model, embedding, terms, analysis, utc_offset, extensions
)
SELECT :id::text, :bucket::smallint, :user_id::text,
    -- One more than the user's newest memory has. Not max(ordinal): a planner that expects few memories of a
    -- user reads them all.
    coalesce((
        SELECT newest.ordinal FROM {schema}.memories newest
        WHERE newest.bucket = :bucket::smallint AND newest.user_id = :user_id::text
        ORDER BY newest.ordinal DESC LIMIT 1
    ), 0) + 1,
    now(), :content::text, :scope::text, :tags::text[], :source::json, :confidence::float8,
    :valid_from::timestamptz, :valid_to::timestamptz, :supersedes::text[],
    :embedding_model::text, :embedding::{vector}.halfvec, :terms::text::{vector}.sparsevec,
    :analysis::int, :utc_offset::int, :extensions::json
