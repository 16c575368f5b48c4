-- One page of a user's memories in an order, from the position in the cursor on. Up to :limit rows, one per memory.
WITH
page AS (
    SELECT
        {readable_columns}
    FROM {schema}.memories m
    WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text
        AND {created_within}
        AND (m.created_at, m.id) {is_behind} (coalesce(:last_moment::timestamptz, {beginning}), coalesce(:last_id::text, ''))
        AND {is_selected(m)}
    ORDER BY {order}
    LIMIT :limit::bigint
),
-- One row, also for a page without memories.
audit_entry AS (
    SELECT :bucket::smallint AS bucket, :user_id::text AS user_id, :app::text AS app, 'list' AS action,
        NULL AS memory_id, :scope::text AS scope
)
SELECT * FROM page WHERE {is_logged}
