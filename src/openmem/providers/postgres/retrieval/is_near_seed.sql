m.moment > seed.moment - interval '{neighbor_gap_seconds} seconds'
    AND m.moment < seed.moment + interval '{neighbor_gap_seconds} seconds'
