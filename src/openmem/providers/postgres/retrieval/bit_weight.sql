-- One row per row of scored_flags.
bit_weight AS MATERIALIZED (
    SELECT flag,
        {lexeme_weight}
        AS weight
    FROM (
        SELECT flag, factor, (SELECT coalesce(sum(memories), 0) FROM mask_counts) AS total,
            (SELECT coalesce(sum(memories), 0) FROM mask_counts WHERE term_mask & flag <> 0) AS memories
        FROM scored_flags
        -- A fence: without it the count would be computed once for each of its uses above.
        OFFSET 0
    ) counted
)
