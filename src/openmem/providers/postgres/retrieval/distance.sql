-- 1 less the cosine, up to 2; NULL if another model embedded the memory. From or to a vector of zeros it is NaN, which
-- PostgreSQL orders above all numbers.
CASE WHEN m.embedding_model = :model::text
    THEN least(m.embedding OPERATOR({vector}.<=>) :vector::{vector}.halfvec, 2)
END
