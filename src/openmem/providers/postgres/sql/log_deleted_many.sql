-- Log that selected memories were removed. One row.
INSERT INTO {schema}.audit_log (bucket, user_id, app, action, scope, request_id)
VALUES (:bucket::smallint, :user_id::text, :app::text, 'delete_many', :scope::text, :request_id::text)
RETURNING 1
