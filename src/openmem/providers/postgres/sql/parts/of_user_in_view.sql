m.user_id = :user_id::text
-- One look where every memory is counted.
AND (
    (SELECT :at_any_time::boolean AND :selected_paths::text[] IS NULL AND NOT EXISTS (SELECT FROM hidden))
    OR ({is_not_hidden(m)})
)
