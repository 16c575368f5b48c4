-- Made by tools/sql.py; what is changed here is lost.
\set selected_paths NULL
\set selected_prefixes NULL
\set at_any_time NULL
\set as_of NULL
\set only_indexed true
\set is_filtered NULL
\set selected_contained NULL
\set selected_where NULL
\set selected_since NULL
\set selected_until NULL
\set selected_tags NULL
\set selected_any_tags NULL
\set selected_app NULL
\set selected_ids NULL
\set selected_keys NULL
\set bucket 677
\set user_id '''maya'''
\set last_moment NULL
\set last_id NULL
\set limit 10

BEGIN;

-- Remove those of a user's next memories that are selected, from the position on behind which they are. At most one row,
-- none if there are no more: how many were removed, and the position of the last memory that was looked at.
WITH
-- Up to :limit rows, the oldest first.
page AS MATERIALIZED (
    SELECT m.id, m.created_at,
        (:selected_paths::text[] IS NULL OR m.scope = ANY (:selected_paths::text[])
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
        )) AS is_selected
    FROM openmem.memories m
    WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text
        AND -- Bounds of the selection once more, without OR, so that an index in the order of time begins and ends there.
        m.created_at >= coalesce(:selected_since::timestamptz, '-infinity')
        AND m.created_at <= coalesce(:selected_until::timestamptz, 'infinity')
        AND (m.created_at, m.id) > (coalesce(:last_moment::timestamptz, '-infinity'), coalesce(:last_id::text, ''))
    ORDER BY m.created_at, m.id
    LIMIT :limit::bigint
),
-- One row per memory. A memory that was changed meanwhile is looked at once more.
deleted AS (
    DELETE FROM openmem.memories m
    WHERE m.bucket = :bucket::smallint AND m.id = ANY (ARRAY(SELECT page.id FROM page WHERE page.is_selected))
        -- IS TRUE hides the user from indexes, so that memories are looked up by their ids.
        AND (m.user_id = :user_id::text) IS TRUE
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
    RETURNING m.id
)
SELECT (SELECT count(*) FROM deleted) AS memories, page.created_at, page.id
FROM page
ORDER BY page.created_at DESC, page.id DESC
LIMIT 1;

ROLLBACK;
