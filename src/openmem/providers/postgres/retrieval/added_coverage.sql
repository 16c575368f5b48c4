(SELECT coalesce(sum(weight), 0) FROM bit_weight WHERE new_term_mask & flag <> 0 AND term_mask & flag = 0)
    / (SELECT sum(weight) FROM bit_weight)
