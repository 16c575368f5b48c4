-- The vectors of some of a user's memories. Up to one row per id: none for a memory that no search finds.
SELECT m.id, m.embedding_model, m.embedding::real[]
FROM unnest(:ids::text[]) AS given (id)
CROSS JOIN LATERAL (
    SELECT * FROM {schema}.memories m
    WHERE m.id = given.id AND m.bucket = :bucket::smallint AND m.user_id = :user_id::text
    -- A fence: each memory is looked up by its id; without it the planner may join with the whole table.
    OFFSET 0
) m
WHERE m.embedding IS NOT NULL
