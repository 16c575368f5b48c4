-- One row per memory of the user that has expired, or is not indexed where only those that are may be selected; none for
-- most users. The columns that say so are at the end of a row. They are read here only, where an index has the few
-- memories that have an end or are not indexed: a search would take 6 % longer if it read them of every memory.
hidden AS MATERIALIZED (
    SELECT m.id
    FROM {schema}.memories m
    WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text
        AND (m.expires_at IS NOT NULL OR NOT m.indexed)
        AND NOT ({not_expired(m)} AND (m.indexed OR NOT :only_indexed::boolean))
)
