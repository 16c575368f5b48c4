-- One row: whether the baselines of a model are stored.
SELECT EXISTS (SELECT FROM {schema}.baselines b WHERE b.embedding_model = :embedding_model::text)
