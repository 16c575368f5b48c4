{is_in_view({m})}
AND {not_expired({m})}
AND ({m}.indexed OR NOT :only_indexed::boolean)
-- One look where nothing else is asked for. What leaves out most memories comes first.
AND (NOT :is_filtered::boolean OR (
    (:selected_contained::jsonb IS NULL OR {m}.metadata @> :selected_contained::jsonb)
    AND (:selected_where::jsonpath IS NULL OR coalesce({m}.metadata, '{}') @@ :selected_where::jsonpath)
    AND (:selected_since::timestamptz IS NULL OR {m}.created_at >= :selected_since::timestamptz)
    AND (:selected_until::timestamptz IS NULL OR {m}.created_at < :selected_until::timestamptz)
    AND (:selected_tags::text[] IS NULL OR {m}.tags @> :selected_tags::text[])
    AND (:selected_any_tags::text[] IS NULL OR {m}.tags && :selected_any_tags::text[])
    AND (:selected_app::text IS NULL OR {m}.source ->> 'app' = :selected_app::text)
    AND (:selected_ids::text[] IS NULL OR {m}.id = ANY (:selected_ids::text[]))
    AND (:selected_keys::text[] IS NULL OR {m}.key = ANY (:selected_keys::text[]))
))
