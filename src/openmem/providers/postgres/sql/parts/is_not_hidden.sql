{is_in_view({m})}
AND {m}.id NOT IN (SELECT id FROM hidden)
