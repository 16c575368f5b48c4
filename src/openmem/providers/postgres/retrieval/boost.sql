coalesce(
    boost_factor * (
        {vector_weight} * {gap_share} * greatest(seed_similarity - similarity, 0)
        + {words_weight} * {neighbor_weight} * {new_coverage}
    ), 0
)
