-- The lexemes of the query that a memory has, as bits, and more bits for its speaker and for being a question; the
-- least number for a memory without terms.
CASE WHEN (SELECT second IS NULL FROM masks)
    -- One inner product is enough for most queries.
    THEN coalesce((m.terms OPERATOR({vector}.<#>) (SELECT first FROM masks))::bigint, {no_mask})
    ELSE coalesce(
        (m.terms OPERATOR({vector}.<#>) (SELECT first FROM masks))::bigint
            | ((m.terms OPERATOR({vector}.<#>) (SELECT second FROM masks))::bigint << {mask_bits})
            | coalesce((m.terms OPERATOR({vector}.<#>) (SELECT third FROM masks))::bigint << (2 * {mask_bits}), 0),
        {no_mask}
    )
END
