-- Made by tools/sql.py; what is changed here is lost.
\set bucket 677
\set user_id '''maya'''
\set selected_since NULL
\set selected_until NULL
\set last_moment NULL
\set last_id NULL
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
\set limit 10
\set readable_paths NULL
\set readable_prefixes NULL
\set app NULL
\set scope NULL
\set request_id '''a request'''

BEGIN;

-- One page of a user's memories, the last changed first, from the position in the cursor on. Up to :limit rows, one per
-- memory. Those that were never changed are as old as they are.
WITH
changed AS MATERIALIZED (
    SELECT m.*
    FROM openmem.memories m
    WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text AND m.updated_at IS NOT NULL
        AND -- Bounds of the selection once more, without OR, so that an index in the order of time begins and ends there.
        m.created_at >= coalesce(:selected_since::timestamptz, '-infinity')
        AND m.created_at <= coalesce(:selected_until::timestamptz, 'infinity')
        AND (m.updated_at, m.id) < (coalesce(:last_moment::timestamptz, 'infinity'), coalesce(:last_id::text, ''))
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
    ORDER BY m.updated_at DESC, m.id DESC
    LIMIT :limit::bigint
),
-- None from before the last that was changed, if these fill the page: of two indexes, each is read for one page.
unchanged AS (
    SELECT m.*
    FROM openmem.memories m
    WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text AND m.updated_at IS NULL
        AND -- Bounds of the selection once more, without OR, so that an index in the order of time begins and ends there.
        m.created_at >= coalesce(:selected_since::timestamptz, '-infinity')
        AND m.created_at <= coalesce(:selected_until::timestamptz, 'infinity')
        AND (m.created_at, m.id) < (coalesce(:last_moment::timestamptz, 'infinity'), coalesce(:last_id::text, ''))
        AND m.created_at >= coalesce(
            (SELECT c.updated_at FROM changed c ORDER BY c.updated_at DESC OFFSET :limit::bigint - 1), '-infinity'
        )
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
    ORDER BY m.created_at DESC, m.id DESC
    LIMIT :limit::bigint
),
page AS (
    SELECT
        m.id, m.content, m.user_id, m.created_at, m.scope, m.tags, m.source::text, m.confidence,
        m.valid_from, m.valid_to,
        CASE WHEN :readable_paths::text[] IS NULL OR m.supersedes = '{}' THEN m.supersedes ELSE (
            -- The ids of m.supersedes in their order, without those of memories that the caller may not read.
            SELECT array_agg(named.id ORDER BY named.position)
            FROM unnest(m.supersedes) WITH ORDINALITY AS named (id, position)
            CROSS JOIN LATERAL (
                SELECT FROM openmem.memories s
                WHERE s.id = named.id AND s.bucket = :bucket::smallint AND s.user_id = m.user_id
                    AND (:readable_paths::text[] IS NULL OR s.scope = ANY (:readable_paths::text[])
                        OR s.scope ^@ ANY (:readable_prefixes::text[])) AND (s.expires_at IS NULL OR s.expires_at > now())
                -- A fence: without it the planner may read all memories of the user, and join them.
                OFFSET 0
            ) s
        ) END AS supersedes,
        m.embedding_model, m.updated_at, m.metadata::text, m.key, m.version, m.expires_at, m.indexed,
        m.extensions::text
    FROM (SELECT * FROM changed UNION ALL SELECT * FROM unchanged) m
    ORDER BY coalesce(m.updated_at, m.created_at) DESC, m.id DESC
    LIMIT :limit::bigint
),
-- One row, also for a page without memories.
audit_entry AS (
    SELECT :bucket::smallint AS bucket, :user_id::text AS user_id, :app::text AS app, 'list' AS action,
        NULL AS memory_id, :scope::text AS scope
)
SELECT * FROM page WHERE -- True, once the entry is in the audit log; there is one at most. A function writes it, so that a database that is sharded
-- by bucket runs the whole statement in one place. IS NULL makes a truth value of a function without a result.
(
    SELECT openmem.log_read(e.bucket, e.user_id, e.app, e.action, e.memory_id, e.scope, :request_id::text) IS NULL
    FROM audit_entry e
) IS NOT TRUE;

ROLLBACK;
