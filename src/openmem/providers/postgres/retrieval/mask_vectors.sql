-- One row per {mask_bits} bits, a chunk. The inner product of vector and memories.terms, whose entries are all 1, is a
-- sum of powers of two: the bits of the lexemes that the memory has. {mask_bits} bits, since a sum of single-precision
-- numbers is exact up to 24. The entries are negative, since the operator <#> gives the negative inner product.
SELECT chunk,
    ('{' || coalesce(string_agg(lexeme_id || ':-' || flags, ',') FILTER (WHERE flags <> 0), '') || '}/{lexeme_ids}')
        ::{vector}.sparsevec AS vector
FROM (
    -- Two lexemes may have the same id, which is a hash: its entry is the union of their bits.
    SELECT lexeme_id, bit / {mask_bits} AS chunk, bit_or(1::bigint << (bit % {mask_bits})) AS flags
    FROM (
        SELECT lexeme_id, bit FROM {lexemes}
        UNION ALL SELECT unnest(:speaker_ids::int[]), {speaker_bit}
        UNION ALL SELECT {question_id}, {question_bit}
    ) entries
    GROUP BY lexeme_id, chunk
) numbered
GROUP BY chunk
