-- A page of a user's audit log: the entries behind the one of :before_id at :before, all if they are NULL, the newest
-- first. Up to :limit rows.
SELECT a.id, a.at, a.app, a.action, a.memory_id, a.scope, a.request_id
FROM {schema}.audit_log a
WHERE a.bucket = :bucket::smallint AND a.user_id = :user_id::text
    AND (:app::text IS NULL OR a.app = :app::text)
    AND a.at >= coalesce(:since::timestamptz, '-infinity')
    AND a.at <= coalesce(:before::timestamptz, 'infinity')
    AND (:before::timestamptz IS NULL OR (a.at, a.id) < (:before::timestamptz, :before_id::bigint))
    AND {is_readable(a.scope)}
ORDER BY a.at DESC, a.id DESC
LIMIT :limit::bigint
