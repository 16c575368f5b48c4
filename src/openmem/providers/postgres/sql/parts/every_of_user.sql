m.user_id = :user_id::text
