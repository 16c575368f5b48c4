-- Find the keys of new memories that other memories of their users have. One row for each that is in use: the number of
-- the new memory among those given, from 1. Memories that have expired give their keys up.
SELECT number
FROM {schema}.free_keys(:ids::text[], :buckets::smallint[], :user_ids::text[], :keys::text[], :scopes::text[])
