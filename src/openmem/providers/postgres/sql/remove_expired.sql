-- Remove those of some memories that have expired, so that their ids can be used again. One row per memory.
DELETE FROM {schema}.memories m
WHERE m.id = ANY (:ids::text[]) AND m.bucket = ANY (:buckets::smallint[]) AND m.expires_at <= now()
RETURNING 1
