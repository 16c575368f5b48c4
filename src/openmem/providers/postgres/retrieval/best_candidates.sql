-- One row per memory, up to as many as may be seeds or in the result. While memories are read, no more are kept.
SELECT id, ordinal, moment, is_dated, terms, score,
    {similarity} AS similarity,
    {indexed_coverage} AS coverage
FROM (
    SELECT id, ordinal, moment, is_dated, terms, distance, found,
        {own_score}
            * CASE WHEN found >= {question_offset} THEN {question_factor}::float8 ELSE 1 END
            * {recency} AS score
    FROM (
        SELECT *,
            {similarity} AS similarity,
            {indexed_coverage} AS coverage
        FROM (
            SELECT m.id, m.ordinal, coalesce(m.valid_from, m.created_at) AS moment, m.valid_from IS NOT NULL AS is_dated,
                m.terms,
                {distance} AS distance,
                m.terms OPERATOR({vector}.<#>) (SELECT vector FROM query_weights) AS found
            FROM {memories} m
            -- A fence: without it the products would be computed once for each of their uses above.
            OFFSET 0
        ) compared
    ) covered
    ORDER BY score DESC, id DESC
    LIMIT greatest({seeds}, :limit::bigint)
) best
