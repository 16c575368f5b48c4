-- Made by tools/sql.py; what is changed here is lost.
\set bucket 677
\set user_id '''maya'''
\set app NULL
\set since NULL
\set readable_paths NULL
\set readable_prefixes NULL
\set limit 10

BEGIN;

-- The newest entries of a user's audit log. Up to :limit rows, the newest first.
SELECT a.at, a.app, a.action, a.memory_id, a.scope, a.request_id
FROM openmem.audit_log a
WHERE a.bucket = :bucket::smallint AND a.user_id = :user_id::text
    AND (:app::text IS NULL OR a.app = :app::text)
    AND a.at >= coalesce(:since::timestamptz, '-infinity')
    AND (:readable_paths::text[] IS NULL OR a.scope = ANY (:readable_paths::text[])
        OR a.scope ^@ ANY (:readable_prefixes::text[]))
ORDER BY a.at DESC, a.id DESC
LIMIT :limit::bigint;

ROLLBACK;
