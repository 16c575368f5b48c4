-- What an update of a memory's text or of its date needs to know of the memory. At most one row.
SELECT CASE WHEN :with_content::boolean THEN m.content END, m.created_at, m.valid_from, m.utc_offset, m.indexed
FROM {schema}.memories m
WHERE m.id = :id::text AND m.bucket = :bucket::smallint
    AND (:users::text[] IS NULL OR m.user_id = ANY (:users::text[]))
    AND {not_expired(m)}
