-- Made by tools/sql.py; what is changed here is lost.
\set bucket 677
\set keys 'ARRAY[''home'']'
\set user_id '''maya'''
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

BEGIN;

-- Remove those of some memories of a user that are selected. One row: how many were removed.
WITH deleted AS (
    DELETE FROM openmem.memories m
    WHERE m.bucket = :bucket::smallint
        AND m.id = ANY (ARRAY(
            -- Key by key, as the index has them.
            SELECT named.id
            FROM unnest(:keys::text[]) AS given (key)
            CROSS JOIN LATERAL (
                SELECT k.id FROM openmem.memories k
                WHERE k.bucket = :bucket::smallint AND k.user_id = :user_id::text AND k.key IS NOT NULL
                    AND openmem.key_digest(k.key) = openmem.key_digest(given.key)
                OFFSET 0
            ) named
        ))
        -- IS TRUE hides the user from indexes, so that memories are looked up by their ids. A key may have been given up
        -- meanwhile.
        AND (m.user_id = :user_id::text AND m.key = ANY (:keys::text[])) IS TRUE
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
SELECT count(*) FROM deleted;

ROLLBACK;
