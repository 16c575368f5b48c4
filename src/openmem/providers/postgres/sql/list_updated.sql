-- One page of a user's memories, the last changed first, from the position in the cursor on. Up to :limit rows, one per
-- memory. Those that were never changed are as old as they are.
WITH
changed AS MATERIALIZED (
    SELECT m.*
    FROM {schema}.memories m
    WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text AND m.updated_at IS NOT NULL
        AND {created_within}
        AND (m.updated_at, m.id) < (coalesce(:last_moment::timestamptz, 'infinity'), coalesce(:last_id::text, ''))
        AND {is_selected(m)}
    ORDER BY m.updated_at DESC, m.id DESC
    LIMIT :limit::bigint
),
-- None from before the last that was changed, if these fill the page: of two indexes, each is read for one page.
unchanged AS (
    SELECT m.*
    FROM {schema}.memories m
    WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text AND m.updated_at IS NULL
        AND {created_within}
        AND (m.created_at, m.id) < (coalesce(:last_moment::timestamptz, 'infinity'), coalesce(:last_id::text, ''))
        AND m.created_at >= coalesce(
            (SELECT c.updated_at FROM changed c ORDER BY c.updated_at DESC OFFSET :limit::bigint - 1), '-infinity'
        )
        AND {is_selected(m)}
    ORDER BY m.created_at DESC, m.id DESC
    LIMIT :limit::bigint
),
page AS (
    SELECT
        {readable_columns}
    FROM (SELECT * FROM changed UNION ALL SELECT * FROM unchanged) m
    ORDER BY coalesce(m.updated_at, m.created_at) DESC, m.id DESC
    LIMIT :limit::bigint
),
-- One row, also for a page without memories.
audit_entry AS (
    SELECT :bucket::smallint AS bucket, :user_id::text AS user_id, :app::text AS app, 'list' AS action,
        NULL AS memory_id, :scope::text AS scope
)
SELECT * FROM page WHERE {is_logged}
