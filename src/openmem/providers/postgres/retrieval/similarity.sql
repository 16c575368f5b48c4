-- From 1 for equal directions to 0 at the reach of the query; NULL if another model embedded the memory. The distance
-- from or to a vector of zeros is NaN, which PostgreSQL orders above all numbers.
CASE WHEN m.embedding_model = :model::text
    THEN 1 - least((m.embedding OPERATOR({vector}.<=>) (SELECT vector FROM query)) / (SELECT reach FROM query), 1)
END
