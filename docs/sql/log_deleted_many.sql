-- Made by tools/sql.py; what is changed here is lost.
\set bucket 677
\set user_id '''maya'''
\set app NULL
\set scope NULL
\set request_id '''a request'''

BEGIN;

-- Log that selected memories were removed. One row.
INSERT INTO openmem.audit_log (bucket, user_id, app, action, scope, request_id)
VALUES (:bucket::smallint, :user_id::text, :app::text, 'delete_many', :scope::text, :request_id::text)
RETURNING 1;

ROLLBACK;
