-- Made by tools/sql.py; what is changed here is lost.
\set bucket 677
\set user_id '''maya'''
\set app NULL
\set since NULL
\set before NULL
\set before_id NULL
\set readable_paths NULL
\set readable_prefixes NULL
\set limit 10

BEGIN;

-- A page of a user's audit log: the entries behind the one of :before_id at :before, all if they are NULL, the newest
-- first. Up to :limit rows.
SELECT a.id, a.at, a.app, a.action, a.memory_id, a.scope, a.request_id
FROM openmem.audit_log a
WHERE a.bucket = :bucket::smallint AND a.user_id = :user_id::text
    AND (:app::text IS NULL OR a.app = :app::text)
    AND a.at >= coalesce(:since::timestamptz, '-infinity')
    AND a.at <= coalesce(:before::timestamptz, 'infinity')
    AND (:before::timestamptz IS NULL OR (a.at, a.id) < (:before::timestamptz, :before_id::bigint))
    AND (:readable_paths::text[] IS NULL OR a.scope = ANY (:readable_paths::text[])
        OR a.scope ^@ ANY (:readable_prefixes::text[]))
ORDER BY a.at DESC, a.id DESC
LIMIT :limit::bigint;

ROLLBACK;
