coalesce(m.valid_to <= greatest(m.valid_from, clock_timestamp()), false)
