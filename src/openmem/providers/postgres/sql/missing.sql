-- Those of some ids that name no memory of the user. One row: an array.
SELECT ARRAY(
    SELECT unnest(:ids::text[])
    EXCEPT
    SELECT m.id
    FROM unnest(:ids::text[]) AS given (id)
    CROSS JOIN LATERAL (
        SELECT m.id, m.user_id FROM {schema}.memories m
        WHERE m.id = given.id AND m.bucket = :bucket::smallint AND {not_expired(m)}
        -- A fence: with the condition on the user inside, the planner may read all memories of the user instead.
        OFFSET 0
    ) m
    WHERE m.user_id = :user_id::text
)
