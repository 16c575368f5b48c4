m.id = ANY (:ids::text[])
-- IS TRUE hides the user from indexes, so that memories are looked up by their ids.
AND (m.user_id = :user_id::text) IS TRUE
AND {is_selected(m)}
