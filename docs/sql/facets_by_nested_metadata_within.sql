-- Made by tools/sql.py; what is changed here is lost.
\set path NULL
\set bucket 677
\set user_id '''maya'''
\set selected_since NULL
\set selected_until NULL
\set selected_paths NULL
\set selected_prefixes NULL
\set at_any_time NULL
\set as_of NULL
\set only_indexed true
\set is_filtered NULL
\set selected_contained NULL
\set selected_where NULL
\set selected_tags NULL
\set selected_any_tags NULL
\set selected_app NULL
\set selected_ids NULL
\set selected_keys NULL
\set app NULL
\set scope NULL
\set request_id '''a request'''
\set limit 10

BEGIN;

-- The values of a field among the selected memories of a user, and how many have each, the most frequent first. Up to
-- :limit rows: the value, as JSON if it is one of metadata; the memories; when the newest of them was created.
WITH
-- One row per different value of the field: of tags, per list of them.
counted AS (
    SELECT jsonb_path_query_first(m.metadata, :path::jsonpath, '{}', true)::text COLLATE "C" AS held, count(*) AS memories, max(m.created_at) AS newest
    FROM openmem.memories m
    WHERE m.bucket = :bucket::smallint
        AND m.user_id = :user_id::text
        AND -- Bounds of the selection once more, without OR, so that an index in the order of time begins and ends there.
        m.created_at >= coalesce(:selected_since::timestamptz, '-infinity')
        AND m.created_at <= coalesce(:selected_until::timestamptz, 'infinity')
        AND (:selected_paths::text[] IS NULL OR m.scope = ANY (:selected_paths::text[])
            OR m.scope ^@ ANY (:selected_prefixes::text[]))
        AND (:at_any_time::boolean
            -- Not coalesce(:as_of, now()), which Citus allows in no DELETE.
            OR (m.valid_from IS NULL OR m.valid_from <= :as_of::timestamptz
                OR (:as_of::timestamptz IS NULL AND m.valid_from <= now()))
            AND (m.valid_to IS NULL OR m.valid_to > :as_of::timestamptz
                OR (:as_of::timestamptz IS NULL AND m.valid_to > now())))
        AND (m.expires_at IS NULL OR m.expires_at > now())
        AND (m.indexed OR NOT :only_indexed::boolean)
        -- One look where nothing else is asked for. What leaves out most memories comes first.
        AND (NOT :is_filtered::boolean OR (
            (:selected_contained::jsonb IS NULL OR m.metadata @> :selected_contained::jsonb)
            AND (:selected_where::jsonpath IS NULL OR coalesce(m.metadata, '{}') @@ :selected_where::jsonpath)
            AND (:selected_since::timestamptz IS NULL OR m.created_at >= :selected_since::timestamptz)
            AND (:selected_until::timestamptz IS NULL OR m.created_at < :selected_until::timestamptz)
            AND (:selected_tags::text[] IS NULL OR m.tags @> :selected_tags::text[])
            AND (:selected_any_tags::text[] IS NULL OR m.tags && :selected_any_tags::text[])
            AND (:selected_app::text IS NULL OR m.source ->> 'app' = :selected_app::text)
            AND (:selected_ids::text[] IS NULL OR m.id = ANY (:selected_ids::text[]))
            AND (:selected_keys::text[] IS NULL OR m.key = ANY (:selected_keys::text[]))
        ))
    GROUP BY held
),
audit_entry AS (
    SELECT :bucket::smallint AS bucket, :user_id::text AS user_id, :app::text AS app, 'facets' AS action,
        NULL AS memory_id, :scope::text AS scope
)
SELECT value::text, sum(counted.memories)::bigint AS memories, max(counted.newest) AS newest
FROM counted CROSS JOIN LATERAL (
    SELECT nullif(counted.held, 'null')::jsonb
) AS f (value)
WHERE -- True, once the entry is in the audit log; there is one at most. A function writes it, so that a database that is sharded
-- by bucket runs the whole statement in one place. IS NULL makes a truth value of a function without a result.
(
    SELECT openmem.log_read(e.bucket, e.user_id, e.app, e.action, e.memory_id, e.scope, :request_id::text) IS NULL
    FROM audit_entry e
) IS NOT TRUE
GROUP BY value
ORDER BY memories DESC, newest DESC, (value #>> '{}') COLLATE "C" NULLS LAST
LIMIT :limit::bigint;

ROLLBACK;
