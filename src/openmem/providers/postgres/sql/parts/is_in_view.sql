(:selected_paths::text[] IS NULL OR {m}.scope = ANY (:selected_paths::text[])
    OR {m}.scope ^@ ANY (:selected_prefixes::text[]))
AND (:at_any_time::boolean
    OR ({m}.valid_from IS NULL OR {m}.valid_from <= coalesce(:as_of::timestamptz, now()))
    AND ({m}.valid_to IS NULL OR {m}.valid_to > coalesce(:as_of::timestamptz, now())))
