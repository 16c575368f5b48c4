-- How many memories of a user are selected. One row.
WITH
{hidden_first}counted AS (
    SELECT {number} AS memories
    FROM {schema}.memories m
    WHERE m.bucket = :bucket::smallint
        AND {candidates}
),
audit_entry AS (
    SELECT :bucket::smallint AS bucket, :user_id::text AS user_id, :app::text AS app, :verb::text AS action,
        NULL AS memory_id, :scope::text AS scope
)
SELECT memories FROM counted WHERE {is_logged}
