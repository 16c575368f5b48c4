-- The ordinals of users' newest memories, 0 for none. One row per user.
SELECT user_id, ordinal FROM {schema}.last_ordinals(:user_ids::text[], :buckets::smallint[])
