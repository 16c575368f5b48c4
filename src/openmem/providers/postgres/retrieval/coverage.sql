(SELECT coalesce(sum(weight), 0) FROM bit_weight WHERE {mask} & flag <> 0)
    / (SELECT sum(weight) FROM bit_weight)
