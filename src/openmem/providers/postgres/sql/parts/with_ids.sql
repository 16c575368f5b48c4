m.id = ANY (:ids::text[])
-- CASE hides the user from indexes, so that memories are looked up by their ids.
AND CASE WHEN m.user_id = :user_id::text THEN
    {is_selected(m)}
END
