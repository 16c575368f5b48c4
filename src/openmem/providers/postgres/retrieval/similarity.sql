greatest(1 - distance / (SELECT reach FROM query), {distant_similarity} * (1 - distance / 2))
