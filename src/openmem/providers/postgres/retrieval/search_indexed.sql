-- The best memories for a query of a user with many: those of the first {exact_scan_limit}, and of the others those that
-- an index of lexemes finds. Up to :limit rows, the best first. `openmem.providers.postgres.retrieval` explains the
-- terms.
--
-- A sample estimates how rare a lexeme is. So the weights are known before memories are read, and one inner product gives
-- a memory's coverage. What takes masks is only computed for the best.
WITH
{indexed_words},
-- One row per memory of the user that may be in the result. Each use reads some of them: NOT MATERIALIZED.
searched AS NOT MATERIALIZED (
    SELECT m.*
    FROM {schema}.memories m
    WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text
        AND {is_selected(m)}
),
-- One row: the first and the last ordinal of the user's memories, about how many there are, and how many ordinals each
-- of {sample_strata} strata has. No rows for a user without memories. Not min() and max(): a planner that expects few
-- memories of a user reads them all for those.
ordinals AS MATERIALIZED (
    SELECT first, last, last - first + 1 AS memories, (last - first) / {sample_strata} + 1 AS stratum_length
    FROM (
        SELECT m.ordinal AS first FROM {schema}.memories m
        WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text ORDER BY m.ordinal LIMIT 1
    ) oldest,
    (
        SELECT m.ordinal AS last FROM {schema}.memories m
        WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text ORDER BY m.ordinal DESC LIMIT 1
    ) newest
),
-- One row per sampled memory: up to {stratum_rows} from the beginning of each stratum.
sample AS MATERIALIZED (
    SELECT m.*
    FROM ordinals CROSS JOIN generate_series(first, last, stratum_length) AS start
    CROSS JOIN LATERAL (
        SELECT m.terms,
            {distance} AS distance
        FROM searched m
        WHERE m.ordinal >= start AND m.ordinal < start + stratum_length
        ORDER BY m.ordinal LIMIT {stratum_rows}
    ) m
),
{sampled_words},
-- One row. The inner product of vector and memories.terms is the coverage of a memory, if it has no two alternatives of
-- a word, and {question_offset} more for a question. The entries are negative, since the operator <#> gives the negative
-- inner product.
query_weights AS MATERIALIZED (
    SELECT ('{' || coalesce(string_agg(lexeme_id || ':-' || value, ',') FILTER (WHERE value <> 0), '')
        || '}/{lexeme_ids}')::{vector}.sparsevec AS vector
    FROM (
        -- Two lexemes may have the same id, which is a hash: its entry is the sum of their weights.
        SELECT lexeme_id, sum(value) AS value
        FROM (
            SELECT lexeme_id, value FROM weighted_lexeme
            UNION ALL SELECT {question_id}, {question_offset}
        ) entries
        GROUP BY lexeme_id
    ) valued
),
-- One row per different lexeme of the query, and how many memories are expected to have it; none if all memories are to
-- be read. is_rare: whether all that have it are read: the rarest of the sample, those that are not in it, and those
-- after them that add up to {rare_rows} memories.
rare_lexeme AS MATERIALIZED (
    SELECT {schema}.word_key(:user_id::text, lexeme_id::bigint) AS key, expected, row_number() OVER rarest AS position,
        sum(memories) OVER rarest = memories OR sum(expected) OVER rarest <= {rare_rows} AS is_rare
    FROM (
        SELECT f.bit, f.lexeme_id, f.memories,
            f.memories * ordinals.memories / greatest((SELECT count(*) FROM sample), 1) + 1 AS expected
        FROM (
            SELECT min(bit) AS bit, lexeme_id, max(memories) AS memories FROM lexeme_frequency GROUP BY lexeme_id
        ) f CROSS JOIN ordinals
        WHERE ordinals.memories > {index_min_memories}
    ) lexemes
    WINDOW rarest AS (ORDER BY expected, bit)
),
-- Up to {paired_lexemes} rows: the lexemes behind those.
next_lexeme AS (
    SELECT * FROM rare_lexeme WHERE NOT is_rare ORDER BY position LIMIT {paired_lexemes}
),
-- Up to 3 rows: two of next_lexeme each, if about {pair_rows} memories at most have both.
lexeme_pair AS MATERIALIZED (
    SELECT ARRAY[one.key, other.key] AS keys, row_number() OVER () AS number
    FROM next_lexeme one JOIN next_lexeme other ON one.position < other.position CROSS JOIN ordinals
    WHERE one.expected * other.expected / ordinals.memories <= {pair_rows}
),
-- The memories that have a rare lexeme or both of a pair, of those with an ordinal that is indexed. The conditions on
-- lexeme_keys and ordinal are as the index memories_lexemes has them. CASE hides the user from the index by user_id and
-- ordinal, which a planner that expects few memories of a user would prefer. The keys are salted with the user's id, so
-- that the index finds hardly a memory of anybody else.
index_match AS (
    SELECT m.*
    FROM {schema}.memories m
    WHERE m.ordinal > {exact_scan_limit}
        AND (
            {keys} && ARRAY(SELECT key FROM rare_lexeme WHERE is_rare)
            OR {keys} @> (SELECT keys FROM lexeme_pair WHERE number = 1)
            OR {keys} @> (SELECT keys FROM lexeme_pair WHERE number = 2)
            OR {keys} @> (SELECT keys FROM lexeme_pair WHERE number = 3)
        )
        AND m.bucket = :bucket::smallint
        AND CASE WHEN m.user_id = :user_id::text THEN
            {is_selected(m)}
        END
),
index_candidates AS MATERIALIZED (
    {best_candidates(index_match)}
),
first_memory AS (
    SELECT m.* FROM searched m WHERE m.ordinal <= {exact_scan_limit}
),
first_candidates AS MATERIALIZED (
    {best_candidates(first_memory)}
),
-- One row. is_enough: whether the other memories of the user need not be read. The index must have found enough, and it
-- and the first memories together as many as are asked for: a scope may have few of the first.
found AS MATERIALIZED (
    SELECT memories >= {min_index_candidates}
        AND memories + (SELECT count(*) FROM first_candidates WHERE score > 0) >= :limit::bigint AS is_enough
    FROM (SELECT count(*) AS memories FROM index_candidates) indexed
),
-- All but the first memories of the user, if that is not so.
other_memory AS (
    SELECT m.* FROM searched m
    WHERE m.ordinal > (
        SELECT CASE WHEN is_enough THEN last ELSE {exact_scan_limit} END FROM found CROSS JOIN ordinals
    )
),
other_candidates AS MATERIALIZED (
    {best_candidates(other_memory)}
),
-- The best of all, as many. If all memories are read, those of the index are among the others.
candidates AS MATERIALIZED (
    SELECT * FROM first_candidates
    UNION ALL SELECT * FROM other_candidates
    UNION ALL SELECT * FROM index_candidates WHERE (SELECT is_enough FROM found)
    ORDER BY score DESC, id DESC
    LIMIT greatest({seeds}, :limit::bigint)
){chosen_lexemes},
-- One row per row of candidates. own_score: before questions and old memories lose a part.
-- score: after that.
top_k AS MATERIALIZED (
    SELECT *,
        {own_score}
            * {question_share}
            * {recency} AS score,
        {own_score} AS own_score
    FROM (
        SELECT id, ordinal, moment, is_dated, similarity, term_mask,
            {counted_once} AS coverage
        FROM (
            SELECT m.id, m.ordinal, m.moment, m.is_dated, m.similarity, m.coverage,
                {term_mask} AS term_mask
            FROM candidates m
            OFFSET 0
        ) masked
    ) covered
),
{seed},
-- One row per seed and memory that was added up to {neighbor_distance} positions before or after it, and is from less
-- than {neighbor_gap_seconds} seconds before or after it. is_stored_at_once: whether only their order says that the two
-- belong together, which it would also say of notes stored in bulk.
pair AS NOT MATERIALIZED (
    SELECT id, moment, similarity, distance, term_mask, seed_id, seed_own_score, seed_similarity, seed_term_mask, seed_coverage,
        is_stored_at_once,
        {counted_once} AS coverage
    FROM (
        SELECT m.id, m.moment, m.distance, m.term_mask,
            {similarity} AS similarity,
            {indexed_coverage} AS coverage,
            {of_seed}
        FROM seed CROSS JOIN LATERAL (
            SELECT m.id, coalesce(m.valid_from, m.created_at) AS moment, m.valid_from IS NOT NULL AS is_dated,
                {distance} AS distance,
                {term_mask} AS term_mask,
                m.terms OPERATOR({vector}.<#>) (SELECT vector FROM query_weights) AS found
            FROM searched m
            WHERE m.ordinal <> seed.ordinal
                AND m.ordinal >= seed.ordinal - {neighbor_distance} AND m.ordinal <= seed.ordinal + {neighbor_distance}
            -- A fence: the few memories near a seed are read by the index, and compared once.
            OFFSET 0
        ) m
        WHERE {is_near_seed}
    ) near
),
mean_similarity AS MATERIALIZED (
    SELECT avg({similarity}) AS mean FROM sample
),
{boosting},
audit_entry AS (
    SELECT :bucket::smallint AS bucket, :user_id::text AS user_id, :app::text AS app, :verb::text AS action,
        NULL AS memory_id, :scope::text AS scope
)
SELECT ranked.score{explained},
    {readable_columns}
FROM ranked CROSS JOIN LATERAL (
    -- A fence: each memory is looked up by its id.
    SELECT * FROM {schema}.memories m WHERE m.id = ranked.id AND m.bucket = :bucket::smallint OFFSET 0
) m
WHERE {is_logged}
ORDER BY ranked.score DESC, ranked.own_score DESC, ranked.id DESC
