m.user_id = :user_id::text
AND {is_not_hidden(m)}
