-- The best memories for a query, by the scores of all memories of the user. For a large user it only says that.
-- One row with is_large_user and NULLs, or up to :limit rows, the best first. `openmem.providers.postgres.retrieval`
-- explains the terms.
--
-- Most CTEs are MATERIALIZED: each runs once, and no planner that knows nothing of a user can merge them.
WITH
-- One row. The rows of the index say it without reading the table.
size AS MATERIALIZED (
    SELECT EXISTS (
        SELECT FROM {schema}.memories m
        WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text AND m.ordinal > {exact_scan_limit}
    ) AS is_large_user
),
{query},
-- One row per memory of the user that may be in the result; none for a large user. Used twice, and each time read from
-- the table: NOT MATERIALIZED.
searched AS NOT MATERIALIZED (
    SELECT m.*
    FROM {schema}.memories m
    WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text
        AND {is_selected(m.scope)}
        AND (m.valid_from IS NULL OR m.valid_from <= now()) AND (m.valid_to IS NULL OR m.valid_to > now())
        AND NOT (SELECT is_large_user FROM size)
),
lexeme_vectors AS MATERIALIZED (
    {mask_vectors(query_lexeme)}
),
-- Only a long query needs counts to choose its lexemes.
of_long_query AS (
    SELECT terms FROM searched WHERE (SELECT is_long FROM query)
),
chunk_mask_counts AS MATERIALIZED (
    {chunk_mask_counts(of_long_query)}
),
-- One row per word of the query. memories: how many have it; NULL for none, or if the query is not long.
word_count AS MATERIALIZED (
    SELECT w.word, w.weight, w.chunk, sum(c.memories) AS memories, bit_or(c.chunk_mask) AS known_flags
    FROM query_word w LEFT JOIN chunk_mask_counts c ON c.chunk = w.chunk AND c.chunk_mask & w.flags <> 0
    GROUP BY w.word, w.weight, w.chunk
),
-- One row per lexeme of the query. The first {max_query_lexemes} have bits of their own, those of the rarest words
-- first that any memory has. The others share the bit {no_bit}, which no term_mask has. is_ignored: whether memories
-- have the word, and one of its lexemes got no bit.
scored_lexeme AS MATERIALIZED (
    SELECT word, lexeme_id, weight, is_ignored,
        CASE WHEN is_ignored THEN {no_bit} ELSE least(position + {first_lexeme_bit} - 1, {no_bit}) END::int AS bit
    FROM (
        SELECT *, coalesce(
            max(position) FILTER (WHERE is_known) OVER (PARTITION BY word) > {max_query_lexemes}, false
        ) AS is_ignored
        FROM (
            SELECT *, row_number() OVER (ORDER BY NOT is_known, worth DESC, bit) AS position
            FROM (
                SELECT l.word, l.lexeme_id, l.bit, c.weight, c.weight / (1 + c.memories) AS worth,
                    coalesce(c.known_flags & (1::bigint << (l.bit % {mask_bits})) <> 0, false) AS is_known
                FROM query_lexeme l JOIN word_count c USING (word)
            ) counted
        ) ordered
    ) numbered
),
masked_lexeme AS (
    SELECT lexeme_id, bit FROM scored_lexeme WHERE bit < {no_bit}
),
mask_vectors AS MATERIALIZED (
    {mask_vectors(masked_lexeme)}
),
-- What the ranking needs of a memory: one row per row of searched, about {exact_scan_limit} at most.
features AS MATERIALIZED (
    SELECT id, ordinal, moment, is_dated,
        {similarity} AS similarity,
        term_mask
    FROM (
        SELECT m.id, m.ordinal, coalesce(m.valid_from, m.created_at) AS moment, m.valid_from IS NOT NULL AS is_dated,
            {distance} AS distance,
            {term_mask} AS term_mask
        FROM searched m
        -- A fence: without it the distance would be computed once for each of its uses above.
        OFFSET 0
    ) compared
    UNION ALL
    -- No rows, though the planner expects 1,000. It cannot know how many memories a user has. If it guesses few, it
    -- joins features with others by a nested loop, which compares all with all.
    SELECT NULL::text, NULL::int, NULL::timestamptz, NULL::boolean, NULL::float8, NULL::bigint
    FROM generate_series(1, 1000)
    WHERE :limit::bigint < 0
),
-- One row per different mask. Memories with equal masks have equal coverages, so those are computed per mask.
mask_counts AS MATERIALIZED (
    SELECT term_mask, count(*)::float8 AS memories FROM features GROUP BY term_mask
),
-- One row per set of bits that has a weight: those of a word. The words that no memory has and whose lexemes got no bit
-- of their own weigh as well, in one row; those that are left out for being common do not.
scored_flags AS MATERIALIZED (
    SELECT flag, sum(weight) AS factor
    FROM (
        SELECT weight, coalesce(bit_or(1::bigint << bit) FILTER (WHERE bit < {no_bit}), 0) AS flag
        FROM scored_lexeme WHERE NOT is_ignored GROUP BY word, weight
    ) words
    GROUP BY flag
    UNION ALL SELECT {speaker_flag}, {speaker_weight} WHERE EXISTS (SELECT FROM query_lexeme)
),
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
),
-- One row per row of mask_counts. coverage: the share of the query's weight that the mask covers; NULL without lexemes
-- of the query or without terms of the memories.
mask_coverage AS MATERIALIZED (
    SELECT term_mask,
        CASE WHEN term_mask >= 0 THEN
            {coverage_of(term_mask)}
        END AS coverage
    FROM mask_counts
),
-- The best by themselves: those that may be seeds, and those that may be in the result.
-- own_score: before questions and old memories lose a part. score: after that.
top_k AS MATERIALIZED (
    SELECT *, {own_score} AS own_score
    FROM (
        SELECT id, ordinal, moment, is_dated, similarity, term_mask, coverage,
            {own_score}
                * {question_share}
                * {recency} AS score
        FROM features JOIN mask_coverage USING (term_mask)
        ORDER BY score DESC, id DESC
        LIMIT greatest({seeds}, :limit::bigint)
    ) best
    -- They are in this order already. Said once more, the planner knows it, too, and nobody below sorts them again.
    ORDER BY score DESC, id DESC
),
{seed},
-- One row per seed and memory that was added up to {neighbor_distance} positions before or after it, and is from less
-- than {neighbor_gap_seconds} seconds before or after it. is_stored_at_once: whether only their order says that the two
-- belong together, which it would also say of notes stored in bulk.
-- The join is on equal ordinals rather than a range, so that it can be a hash join.
near_seed AS MATERIALIZED (
    SELECT m.id, m.moment, m.similarity, m.term_mask, m.coverage,
        {of_seed}
    FROM seed
    CROSS JOIN (VALUES {neighbor_steps}) AS steps (step)
    JOIN (features JOIN mask_coverage USING (term_mask)) m ON m.ordinal = seed.ordinal + step
    WHERE {is_near_seed}
),
mean_similarity AS MATERIALIZED (
    SELECT avg(similarity) AS mean FROM features
),
{boosting},
audit_entry AS (
    SELECT :bucket::smallint AS bucket, :user_id::text AS user_id, :app::text AS app, :verb::text AS action,
        NULL AS memory_id, :scope::text AS scope
    FROM size WHERE NOT is_large_user
){audit_read}
SELECT size.is_large_user, ranked.score,
    {readable_columns}
FROM size LEFT JOIN (
    ranked CROSS JOIN LATERAL (
        -- A fence: each memory is looked up by its id.
        SELECT * FROM {schema}.memories m WHERE m.id = ranked.id AND m.bucket = :bucket::smallint OFFSET 0
    ) m
) ON true
ORDER BY ranked.score DESC, ranked.own_score DESC, ranked.id DESC
