-- Log that selected memories were removed. No rows.
WITH audit_entry AS (
    SELECT :bucket::smallint AS bucket, :user_id::text AS user_id, :app::text AS app, 'delete_many' AS action,
        NULL AS memory_id, :scope::text AS scope
){audit_write}
SELECT
