m.id = ANY (ARRAY(
    -- Key by key, as the index has them.
    SELECT named.id
    FROM unnest(:keys::text[]) AS given (key)
    CROSS JOIN LATERAL (
        SELECT k.id FROM {schema}.memories k
        WHERE k.bucket = :bucket::smallint AND k.user_id = :user_id::text AND k.key IS NOT NULL
            AND {schema}.key_digest(k.key) = {schema}.key_digest(given.key)
        OFFSET 0
    ) named
))
-- IS TRUE hides the user from indexes, so that memories are looked up by their ids. A key may have been given up
-- meanwhile.
AND (m.user_id = :user_id::text AND m.key = ANY (:keys::text[])) IS TRUE
AND {is_selected(m)}
