-- The lexemes of the query that a memory has, as bits, and more bits for its speaker and for being a question; the
-- least number for a memory without terms.
CASE WHEN m.terms IS NULL THEN {no_mask}
    WHEN (SELECT lexemes <= {mask_bits} - {first_lexeme_bit} FROM query)
    -- One inner product is enough for most queries.
    THEN (m.terms OPERATOR({vector}.<#>) (SELECT vector FROM mask_vectors WHERE chunk = 0))::bigint
    ELSE (m.terms OPERATOR({vector}.<#>) (SELECT vector FROM mask_vectors WHERE chunk = 0))::bigint
        | (coalesce((m.terms OPERATOR({vector}.<#>) (SELECT vector FROM mask_vectors WHERE chunk = 1))::bigint, 0)
            << {mask_bits})
        | (coalesce((m.terms OPERATOR({vector}.<#>) (SELECT vector FROM mask_vectors WHERE chunk = 2))::bigint, 0)
            << (2 * {mask_bits}))
END
