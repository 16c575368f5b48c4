-- Not valid now, and never again. By the clock, not by now(): who waited for a row finds an end that is
-- later than the beginning of its own transaction.
coalesce(m.valid_to <= greatest(m.valid_from, clock_timestamp()), false)
