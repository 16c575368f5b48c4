-- One row per chunk and combination of its bits that a memory has.
SELECT chunk, chunk_mask, count(*)::float8 AS memories
FROM (
    SELECT chunk, (m.terms OPERATOR({vector}.<#>) v.vector)::bigint AS chunk_mask
    FROM {memories} m CROSS JOIN lexeme_vectors v
) compared
WHERE chunk_mask <> 0
GROUP BY chunk, chunk_mask
