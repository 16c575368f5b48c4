-- The newest entries of a user's audit log. Up to :limit rows, the newest first.
SELECT a.at, a.app, a.action, a.memory_id, a.scope, a.request_id
FROM {schema}.audit_log a
WHERE a.bucket = :bucket::smallint AND a.user_id = :user_id::text
    AND (:app::text IS NULL OR a.app = :app::text)
    AND a.at >= coalesce(:since::timestamptz, '-infinity')
    AND {is_readable(a.scope)}
ORDER BY a.at DESC, a.id DESC
LIMIT :limit::bigint
