-- Log memories that COPY stored, in their order. No rows.
WITH audit_entry AS (
    SELECT added.bucket, added.user_id, {app_of(added.source)} AS app,
        :action::text AS action, added.id AS memory_id, added.scope
    FROM unnest(:ids::text[], :buckets::smallint[]) WITH ORDINALITY AS new (id, bucket, position)
    CROSS JOIN LATERAL (
        SELECT * FROM {schema}.memories m WHERE m.id = new.id AND m.bucket = new.bucket
        -- A fence: each memory is looked up by its id; without it the planner may join with the whole table.
        OFFSET 0
    ) added
    ORDER BY new.position
){audit_write}
SELECT
