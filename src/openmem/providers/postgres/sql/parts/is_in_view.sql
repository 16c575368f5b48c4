(:selected_paths::text[] IS NULL OR {m}.scope = ANY (:selected_paths::text[])
    OR {m}.scope ^@ ANY (:selected_prefixes::text[]))
AND (:at_any_time::boolean
    -- Not coalesce(:as_of, now()), which Citus allows in no DELETE.
    OR ({m}.valid_from IS NULL OR {m}.valid_from <= :as_of::timestamptz
        OR (:as_of::timestamptz IS NULL AND {m}.valid_from <= now()))
    AND ({m}.valid_to IS NULL OR {m}.valid_to > :as_of::timestamptz
        OR (:as_of::timestamptz IS NULL AND {m}.valid_to > now())))
