-- Remove those of a user's next memories that are selected, from the position on behind which they are. At most one row,
-- none if there are no more: how many were removed, and the position of the last memory that was looked at.
WITH
-- Up to :limit rows, the oldest first.
page AS MATERIALIZED (
    SELECT m.id, m.created_at,
        {is_selected(m)} AS is_selected
    FROM {schema}.memories m
    WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text
        AND {created_within}
        AND (m.created_at, m.id) > (coalesce(:last_moment::timestamptz, '-infinity'), coalesce(:last_id::text, ''))
    ORDER BY m.created_at, m.id
    LIMIT :limit::bigint
),
-- One row per memory. A memory that was changed meanwhile is looked at once more.
deleted AS (
    DELETE FROM {schema}.memories m
    WHERE m.bucket = :bucket::smallint AND m.id = ANY (ARRAY(SELECT page.id FROM page WHERE page.is_selected))
        -- IS TRUE hides the user from indexes, so that memories are looked up by their ids.
        AND (m.user_id = :user_id::text) IS TRUE
        AND {is_selected(m)}
    RETURNING m.id
)
SELECT (SELECT count(*) FROM deleted) AS memories, page.created_at, page.id
FROM page
ORDER BY page.created_at DESC, page.id DESC
LIMIT 1
