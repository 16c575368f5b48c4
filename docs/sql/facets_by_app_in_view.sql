-- Made by tools/sql.py; what is changed here is lost.
\set bucket 677
\set user_id '''maya'''
\set only_indexed true
\set at_any_time NULL
\set selected_paths NULL
\set selected_prefixes NULL
\set as_of NULL
\set app NULL
\set scope NULL
\set request_id '''a request'''
\set limit 10

BEGIN;

-- The values of a field among the selected memories of a user, and how many have each, the most frequent first. Up to
-- :limit rows: the value, as JSON if it is one of metadata; the memories; when the newest of them was created.
WITH
-- One row per memory of the user that has expired, or is not indexed where only those that are may be selected; none for
-- most users. The columns that say so are at the end of a row. They are read here only, where an index has the few
-- memories that have an end or are not indexed: a search would take 6 % longer if it read them of every memory.
hidden AS MATERIALIZED (
    SELECT m.id
    FROM openmem.memories m
    WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text
        AND (m.expires_at IS NOT NULL OR NOT m.indexed)
        AND NOT ((m.expires_at IS NULL OR m.expires_at > now()) AND (m.indexed OR NOT :only_indexed::boolean))
),
-- One row per different value of the field: of tags, per list of them.
counted AS (
    SELECT m.source ->> 'app' AS held, count(*) AS memories, max(m.created_at) AS newest
    FROM openmem.memories m
    WHERE m.bucket = :bucket::smallint
        AND m.user_id = :user_id::text
        -- One look where every memory is counted.
        AND (
            (SELECT :at_any_time::boolean AND :selected_paths::text[] IS NULL AND NOT EXISTS (SELECT FROM hidden))
            OR ((:selected_paths::text[] IS NULL OR m.scope = ANY (:selected_paths::text[])
                OR m.scope ^@ ANY (:selected_prefixes::text[]))
            AND (:at_any_time::boolean
                -- Not coalesce(:as_of, now()), which Citus allows in no DELETE.
                OR (m.valid_from IS NULL OR m.valid_from <= :as_of::timestamptz
                    OR (:as_of::timestamptz IS NULL AND m.valid_from <= now()))
                AND (m.valid_to IS NULL OR m.valid_to > :as_of::timestamptz
                    OR (:as_of::timestamptz IS NULL AND m.valid_to > now())))
            AND m.id NOT IN (SELECT id FROM hidden))
        )
    GROUP BY held
),
audit_entry AS (
    SELECT :bucket::smallint AS bucket, :user_id::text AS user_id, :app::text AS app, 'facets' AS action,
        NULL AS memory_id, :scope::text AS scope
)
SELECT value::text, sum(counted.memories)::bigint AS memories, max(counted.newest) AS newest
FROM counted CROSS JOIN LATERAL (
    SELECT counted.held
) AS f (value)
WHERE -- True, once the entry is in the audit log; there is one at most. A function writes it, so that a database that is sharded
-- by bucket runs the whole statement in one place. IS NULL makes a truth value of a function without a result.
(
    SELECT openmem.log_read(e.bucket, e.user_id, e.app, e.action, e.memory_id, e.scope, :request_id::text) IS NULL
    FROM audit_entry e
) IS NOT TRUE
GROUP BY value
ORDER BY memories DESC, newest DESC, value COLLATE "C" NULLS LAST
LIMIT :limit::bigint;

ROLLBACK;
