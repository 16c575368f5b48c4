-- One page of a user's memories, the newest first, from the position in the cursor on. Up to :limit rows, one per
-- memory.
WITH
page AS (
    SELECT
        {readable_columns}
    FROM {schema}.memories m
    WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text
        AND {is_selected(m.scope)}
        AND (:tag::text IS NULL OR :tag::text = ANY (m.tags))
        -- Bounds without OR, so that one index gives the page in its order, from its beginning.
        AND m.created_at >= coalesce(:since::timestamptz, '-infinity')
        AND m.created_at < coalesce(:until::timestamptz, 'infinity')
        AND (m.created_at, m.id) < (coalesce(:last_created_at::timestamptz, 'infinity'), coalesce(:last_id::text, ''))
    ORDER BY m.created_at DESC, m.id DESC
    LIMIT :limit::bigint
),
-- One row, also for a page without memories.
audit_entry AS (
    SELECT :bucket::smallint AS bucket, :user_id::text AS user_id, :app::text AS app, 'list' AS action,
        NULL AS memory_id, :scope::text AS scope
){audit_read}
SELECT * FROM page
