-- Close the validity of the memories that those of an add_many supersede. One row per memory named: whether it had
-- ended, and whether the caller may read it; both are NULL if the user has no such memory in a scope that the caller
-- may write.
SELECT user_id, id, has_ended, is_readable
FROM {schema}.close_superseded(
    :buckets::smallint[], :user_ids::text[], :supersedes::text[], :valid_from::timestamptz[], :granted_paths::text[],
    :granted_prefixes::text[], :readable_paths::text[], :readable_prefixes::text[]
)
