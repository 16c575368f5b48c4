coalesce({vector_weight} * similarity + {words_weight} * coverage, coverage, similarity, 0)
