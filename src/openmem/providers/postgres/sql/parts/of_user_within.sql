m.user_id = :user_id::text
AND {created_within}
AND {is_selected(m)}
