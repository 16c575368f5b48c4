-- Made by tools/sql.py; what is changed here is lost.
\set bucket 677
\set user_id '''maya'''
\set selected_paths NULL
\set selected_prefixes NULL
\set at_any_time NULL
\set as_of NULL
\set only_indexed true
\set is_filtered NULL
\set selected_contained NULL
\set selected_where NULL
\set selected_since NULL
\set selected_until NULL
\set selected_tags NULL
\set selected_any_tags NULL
\set selected_app NULL
\set selected_ids NULL
\set selected_keys NULL
\set vector 'array_fill(0.1::real, ARRAY[256])'
\set model '''hashing:256'''
\set word_weights 'ARRAY[1.0, 1.0]'
\set word_chunks 'ARRAY[0, 0]'
\set word_flags 'ARRAY[8, 16]'
\set lexeme_words 'ARRAY[0, 1]'
\set lexeme_ids 'ARRAY[395445800, 49467353]'
\set lexeme_bits 'ARRAY[3, 4]'
\set speaker_ids 'ARRAY[108004706, 134019540]'
\set limit 10
\set recency NULL
\set min_score NULL
\set app NULL
\set verb '''search'''
\set scope NULL
\set readable_paths NULL
\set readable_prefixes NULL
\set request_id '''a request'''

BEGIN;

-- The best memories for a query, by the scores of all memories of the user. For a large user it only says that.
-- One row with is_large_user and NULLs, or up to :limit rows, the best first. `openmem.providers.postgres.retrieval`
-- explains the terms.
--
-- Most CTEs are MATERIALIZED: each runs once, and no planner that knows nothing of a user can merge them.
WITH
-- One row. The rows of the index say it without reading the table.
size AS MATERIALIZED (
    SELECT EXISTS (
        SELECT FROM openmem.memories m
        WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text AND m.ordinal > 1000
    ) AS is_large_user
),
-- One row per memory of the user that may be in the result; none for a large user. Each use reads the table: NOT
-- MATERIALIZED.
searched AS NOT MATERIALIZED (
    SELECT m.*
    FROM openmem.memories m
    WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text
        AND (:selected_paths::text[] IS NULL OR m.scope = ANY (:selected_paths::text[])
            OR m.scope ^@ ANY (:selected_prefixes::text[]))
        AND (:at_any_time::boolean
            -- Not coalesce(:as_of, now()), which Citus allows in no DELETE.
            OR (m.valid_from IS NULL OR m.valid_from <= :as_of::timestamptz
                OR (:as_of::timestamptz IS NULL AND m.valid_from <= now()))
            AND (m.valid_to IS NULL OR m.valid_to > :as_of::timestamptz
                OR (:as_of::timestamptz IS NULL AND m.valid_to > now())))
        AND (m.expires_at IS NULL OR m.expires_at > now())
        AND (m.indexed OR NOT :only_indexed::boolean)
        -- One look where nothing else is asked for. What leaves out most memories comes first.
        AND (NOT :is_filtered::boolean OR (
            (:selected_contained::jsonb IS NULL OR m.metadata @> :selected_contained::jsonb)
            AND (:selected_where::jsonpath IS NULL OR coalesce(m.metadata, '{}') @@ :selected_where::jsonpath)
            AND (:selected_since::timestamptz IS NULL OR m.created_at >= :selected_since::timestamptz)
            AND (:selected_until::timestamptz IS NULL OR m.created_at < :selected_until::timestamptz)
            AND (:selected_tags::text[] IS NULL OR m.tags @> :selected_tags::text[])
            AND (:selected_any_tags::text[] IS NULL OR m.tags && :selected_any_tags::text[])
            AND (:selected_app::text IS NULL OR m.source ->> 'app' = :selected_app::text)
            AND (:selected_ids::text[] IS NULL OR m.id = ANY (:selected_ids::text[]))
            AND (:selected_keys::text[] IS NULL OR m.key = ANY (:selected_keys::text[]))
        ))
        AND NOT (SELECT is_large_user FROM size)
),
-- One row. reach: the distance from the query's vector at which a similarity is 0; see `openmem.ranking.calibration`.
query AS MATERIALIZED (
    SELECT least(1, greatest(0.02, 1.2 * (1 - coalesce((
        SELECT -min(b.vector OPERATOR(public.<#>) :vector::public.halfvec)
        FROM openmem.baselines b
        WHERE b.embedding_model = :model::text
            AND public.vector_dims(b.vector) = public.vector_dims(:vector::public.halfvec)
    ) / nullif(public.l2_norm(:vector::public.halfvec), 0), 0)))) AS reach
),
-- One row per word of the query. A memory has the word if its mask of the chunk has one of the flags.
-- weight: what the word counts in weights of one that as many memories have.
query_word AS MATERIALIZED (
    SELECT position - 1 AS word, weight, chunk, flags
    FROM unnest(:word_weights::float8[], :word_chunks::int[], :word_flags::bigint[]) WITH ORDINALITY
        AS words (weight, chunk, flags, position)
),
-- One row per lexeme of a word, of which any will do.
-- bit: the bit of a mask that is set if a memory has it. lexeme_id: the index of its entry in memories.terms.
query_lexeme AS MATERIALIZED (
    SELECT * FROM unnest(:lexeme_words::int[], :lexeme_ids::int[], :lexeme_bits::int[]) AS lexemes (word, lexeme_id, bit)
),
lexeme_vectors AS MATERIALIZED (
    -- One row per 24 bits, a chunk. The inner product of vector and memories.terms, whose entries are all 1, is a
    -- sum of powers of two: the bits of the lexemes that the memory has. 24 bits, since a sum of single-precision
    -- numbers is exact up to 24. The entries are negative, since the operator <#> gives the negative inner product.
    SELECT chunk,
        ('{' || coalesce(string_agg(lexeme_id || ':-' || flags, ',') FILTER (WHERE flags <> 0), '') || '}/536870912')
            ::public.sparsevec AS vector
    FROM (
        -- Two lexemes may have the same id, which is a hash: its entry is the union of their bits.
        SELECT lexeme_id, bit / 24 AS chunk, bit_or(1::bigint << (bit % 24)) AS flags
        FROM (
            SELECT lexeme_id, bit FROM query_lexeme
            UNION ALL SELECT unnest(:speaker_ids::int[]), 1
            UNION ALL SELECT 359682810, 0
        ) entries
        GROUP BY lexeme_id, chunk
    ) numbered
    GROUP BY chunk
),
chunk_mask_counts AS MATERIALIZED (
    -- One row per chunk and combination of its bits that a memory has.
    SELECT chunk, chunk_mask, count(*)::float8 AS memories
    FROM (
        SELECT chunk, (m.terms OPERATOR(public.<#>) v.vector)::bigint AS chunk_mask
        FROM searched m CROSS JOIN lexeme_vectors v
    ) compared
    WHERE chunk_mask <> 0
    GROUP BY chunk, chunk_mask
),
-- One row per word of the query. memories: how many have it; NULL for none.
word_count AS MATERIALIZED (
    SELECT w.word, w.weight, w.chunk, sum(c.memories) AS memories, bit_or(c.chunk_mask) AS known_flags
    FROM query_word w LEFT JOIN chunk_mask_counts c ON c.chunk = w.chunk AND c.chunk_mask & w.flags <> 0
    GROUP BY w.word, w.weight, w.chunk
),
-- One row per lexeme of the query. The first 60 have bits of their own, those of the rarest words
-- first that any memory has. The others share the bit 63, which no term_mask has. is_ignored: whether memories
-- have the word, and one of its lexemes got no bit.
scored_lexeme AS MATERIALIZED (
    SELECT word, lexeme_id, weight, is_ignored,
        CASE WHEN is_ignored THEN 63 ELSE least(position + 3 - 1, 63) END::int AS bit
    FROM (
        SELECT *, coalesce(
            max(position) FILTER (WHERE is_known) OVER (PARTITION BY word) > 60, false
        ) AS is_ignored
        FROM (
            SELECT *, row_number() OVER (ORDER BY NOT is_known, worth DESC, bit) AS position
            FROM (
                SELECT l.word, l.lexeme_id, l.bit, c.weight, c.weight / (1 + c.memories) AS worth,
                    coalesce(c.known_flags & (1::bigint << (l.bit % 24)) <> 0, false) AS is_known
                FROM query_lexeme l JOIN word_count c USING (word)
            ) counted
        ) ordered
    ) numbered
),
masked_lexeme AS (
    SELECT lexeme_id, bit FROM scored_lexeme WHERE bit < 63
),
mask_vectors AS MATERIALIZED (
    -- One row per 24 bits, a chunk. The inner product of vector and memories.terms, whose entries are all 1, is a
    -- sum of powers of two: the bits of the lexemes that the memory has. 24 bits, since a sum of single-precision
    -- numbers is exact up to 24. The entries are negative, since the operator <#> gives the negative inner product.
    SELECT chunk,
        ('{' || coalesce(string_agg(lexeme_id || ':-' || flags, ',') FILTER (WHERE flags <> 0), '') || '}/536870912')
            ::public.sparsevec AS vector
    FROM (
        -- Two lexemes may have the same id, which is a hash: its entry is the union of their bits.
        SELECT lexeme_id, bit / 24 AS chunk, bit_or(1::bigint << (bit % 24)) AS flags
        FROM (
            SELECT lexeme_id, bit FROM masked_lexeme
            UNION ALL SELECT unnest(:speaker_ids::int[]), 1
            UNION ALL SELECT 359682810, 0
        ) entries
        GROUP BY lexeme_id, chunk
    ) numbered
    GROUP BY chunk
),
-- One row: the vectors of mask_vectors.
masks AS MATERIALIZED (
    SELECT (SELECT vector FROM mask_vectors WHERE chunk = 0) AS first,
        (SELECT vector FROM mask_vectors WHERE chunk = 1) AS second,
        (SELECT vector FROM mask_vectors WHERE chunk = 2) AS third
),
-- One row per set of bits that has a weight: those of a word. The words that no memory has and whose lexemes got no bit
-- of their own weigh as well, in one row; those that are left out for being common do not.
scored_flags AS MATERIALIZED (
    SELECT flag, sum(weight) AS factor
    FROM (
        SELECT weight, coalesce(bit_or(1::bigint << bit) FILTER (WHERE bit < 63), 0) AS flag
        FROM scored_lexeme WHERE NOT is_ignored GROUP BY word, weight
    ) words
    GROUP BY flag
    UNION ALL SELECT 6::bigint, 1.5
),
-- What the ranking needs of a memory: one row per row of searched, about 1000 at most. The id comes last:
-- PostgreSQL finds a column sooner if those before it have one length in all rows.
features AS MATERIALIZED (
    SELECT -- The lexemes of the query that a memory has, as bits, and more bits for its speaker and for being a question; the
    -- least number for a memory without terms.
    CASE WHEN (SELECT second IS NULL FROM masks)
        -- One inner product is enough for most queries.
        THEN coalesce((m.terms OPERATOR(public.<#>) (SELECT first FROM masks))::bigint, (-9223372036854775808)::bigint)
        ELSE coalesce(
            (m.terms OPERATOR(public.<#>) (SELECT first FROM masks))::bigint
                | ((m.terms OPERATOR(public.<#>) (SELECT second FROM masks))::bigint << 24)
                | coalesce((m.terms OPERATOR(public.<#>) (SELECT third FROM masks))::bigint << (2 * 24), 0),
            (-9223372036854775808)::bigint
        )
    END AS term_mask,
        -- 1 less the cosine, up to 2; NULL if another model embedded the memory. From or to a vector of zeros it is NaN, which
        -- PostgreSQL orders above all numbers.
        CASE WHEN m.embedding_model = :model::text
            THEN least(m.embedding OPERATOR(public.<=>) :vector::public.halfvec, 2)
        END AS distance,
        m.ordinal, m.valid_from IS NOT NULL AS is_dated, coalesce(m.valid_from, m.created_at) AS moment, m.id
    FROM searched m
    UNION ALL
    -- No rows, though the planner expects 1,000. It cannot know how many memories a user has. If it guesses few, it
    -- joins features with others by a nested loop, which compares all with all.
    SELECT NULL::bigint, NULL::float8, NULL::int, NULL::boolean, NULL::timestamptz, NULL::text
    FROM generate_series(1, 1000)
    WHERE :limit::bigint < 0
    -- Masks are then counted without a hash table. And what a sort returns are rows that a CTE only copies. It would make
    -- each of other ones twice: to keep it, and for the first that reads it.
    ORDER BY term_mask
),
-- One row per different mask. Memories with equal masks have equal coverages, so those are computed per mask.
-- is_common: whether so many memories have the mask that their scores are not all computed. The nearest of them have the
-- best, unless scores depend on the age, too, or on whether there is a vector to compare.
mask_counts AS MATERIALIZED (
    SELECT term_mask, count(*)::float8 AS memories,
        count(*) > 100 AND count(*) = count(distance) AND :recency::float8 IS NULL AS is_common
    FROM features GROUP BY term_mask
),
-- One row per row of scored_flags.
bit_weight AS MATERIALIZED (
    SELECT flag,
        -- The inverse document frequency of what memories of total have. The speaker counts nothing if no memory has one
        -- whom the query names.
        CASE WHEN flag = 6::bigint AND memories = 0 THEN 0 ELSE factor END * ln(1 + (1 + total) / (1 + memories))
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
    SELECT term_mask, is_common,
        CASE WHEN term_mask >= 0 THEN
            (SELECT coalesce(sum(weight), 0) FROM bit_weight WHERE term_mask & flag <> 0)
                / (SELECT sum(weight) FROM bit_weight)
        END AS coverage
    FROM mask_counts
),
-- One row per row of features. The similarity is computed where it is used: NOT MATERIALIZED.
compared AS NOT MATERIALIZED (
    SELECT *, greatest(1 - distance / (SELECT reach FROM query), 0.02 * (1 - distance / 2)) AS similarity FROM features JOIN mask_coverage USING (term_mask)
),
-- The best by themselves: those that may be seeds, and those that may be in the result.
-- own_score: before questions and old memories lose a part. score: after that.
top_k AS MATERIALIZED (
    SELECT *, coalesce(0.35 * similarity + 0.65 * coverage, coverage, similarity, 0) AS own_score
    FROM (
        SELECT *, greatest(1 - distance / (SELECT reach FROM query), 0.02 * (1 - distance / 2)) AS similarity
        FROM (
            SELECT
                coalesce(0.35 * similarity + 0.65 * coverage, coverage, similarity, 0)
                    * CASE WHEN term_mask & 1::bigint <> 0 THEN 0.85::float8 ELSE 1 END
                    * -- The share of its score that a memory keeps for its age. The exponent is bounded, since power() fails where a result is
                    -- too small.
                    CASE WHEN :recency::float8 IS NULL THEN 1 ELSE
                        1 - 0.15 * (1 - power(0.5::float8, least(
                            greatest(extract(epoch FROM now())::float8 - extract(epoch FROM moment)::float8, 0) / :recency::float8,
                            100
                        )))
                    END AS score,
                term_mask, distance, coverage, ordinal, is_dated, moment, id
            FROM (
                SELECT * FROM compared WHERE NOT is_common
                UNION ALL
                SELECT near.*, m.is_common, m.coverage, greatest(1 - distance / (SELECT reach FROM query), 0.02 * (1 - distance / 2)) AS similarity
                FROM mask_coverage m CROSS JOIN LATERAL (
                    SELECT f.term_mask, f.distance, f.ordinal, f.is_dated, f.moment, f.id FROM features f
                    WHERE f.term_mask = m.term_mask
                    ORDER BY f.distance, f.id DESC
                    LIMIT greatest(30, :limit::bigint)
                ) near
                WHERE m.is_common
            ) compared
            ORDER BY score DESC, id DESC
            LIMIT greatest(30, :limit::bigint)
        ) best
    ) best
    -- They are in this order already. Said once more, the planner knows it, too, and nobody below sorts them again.
    ORDER BY score DESC, id DESC
),
-- The memories that boost their neighbors: up to 30 rows, the best of top_k.
seed AS (
    SELECT id, ordinal, moment, is_dated, similarity, greatest(term_mask, 0) AS term_mask,
        CASE WHEN term_mask < 0 THEN 0 ELSE coverage END AS coverage, own_score
    FROM top_k
    ORDER BY score DESC, id DESC
    LIMIT 30
),
-- One row per seed and memory that was added up to 2 positions before or after it, and is from less
-- than 3600 seconds before or after it. is_stored_at_once: whether only their order says that the two
-- belong together, which it would also say of notes stored in bulk.
-- The join is on equal ordinals rather than a range, so that it can be a hash join.
pair AS NOT MATERIALIZED (
    SELECT m.id, m.moment, m.similarity, m.distance, m.term_mask, m.coverage,
        seed.id AS seed_id, seed.own_score AS seed_own_score, seed.similarity AS seed_similarity,
        seed.term_mask AS seed_term_mask, seed.coverage AS seed_coverage,
        NOT (seed.is_dated AND m.is_dated)
            AND m.moment > seed.moment - interval '1 seconds'
            AND m.moment < seed.moment + interval '1 seconds' AS is_stored_at_once
    FROM seed
    CROSS JOIN (VALUES (-2), (-1), (1), (2)) AS steps (step)
    JOIN compared m ON m.ordinal = seed.ordinal + step
    WHERE m.moment > seed.moment - interval '3600 seconds'
        AND m.moment < seed.moment + interval '3600 seconds'
),
mean_similarity AS MATERIALIZED (
    SELECT avg(greatest(1 - distance / (SELECT reach FROM query), 0.02 * (1 - distance / 2))) AS mean FROM features
),
-- One row per row of pair that counts: of those that were not stored at once only those that may get into the result.
-- boost_factor: how much of a boost passes, 0 to 1, but for what `series` says of those that were stored at once. It decays
-- for memories that have little to do with the query themselves. greatest() ignores NULL.
-- new_term_mask: what the seed has and the memory does not, of lexemes alone.
-- is_below_seed: whether the seed is better by itself; of equal own scores that of the newer memory is the better. Own
-- scores, so before questions lose a part of theirs: the reply to a question may overtake it.
near_seed AS MATERIALIZED (
    SELECT *
    FROM (
        SELECT id, moment, term_mask, similarity, seed_id, seed_own_score, seed_similarity, seed_coverage, is_stored_at_once,
            coalesce(0.35 * similarity + 0.65 * coverage, coverage, similarity, 0) AS own_score,
            least(1, greatest(0,
                4.0 * (1 - distance / least(1, 1.3 * (SELECT reach FROM query)))
            )) AS boost_factor,
            seed_term_mask & ~(term_mask | 6::bigint | 1::bigint) AS new_term_mask
        FROM pair
        -- A fence: what is computed here is used below several times.
        OFFSET 0
    ) m
    CROSS JOIN LATERAL (SELECT (own_score, id) < (seed_own_score, seed_id) AS is_below_seed) compared
    WHERE is_stored_at_once OR -- Whether a memory may get into the result by its seed. Before coverages are computed, pairs are left out that cannot
    -- reach the cutoff even with all of the seed's coverage. Of those above their seed, the score before the loss of questions
    -- counts, since it may raise the ceiling of others.
    (
        term_mask >= 0
        AND (seed_similarity > similarity OR new_term_mask <> 0)
        AND (own_score + coalesce(
            boost_factor * (
                0.35 * 0.9 * greatest(seed_similarity - similarity, 0)
                + 0.65 * 0.6 * seed_coverage
            ), 0
        ))
            * CASE WHEN is_below_seed AND term_mask & 1::bigint <> 0 THEN 0.85::float8 ELSE 1 END
            -- The cutoff: the score of the last memory of the result, if there were no boosts. Boosts only raise it.
            >= coalesce((SELECT score FROM top_k ORDER BY score DESC, id DESC OFFSET :limit::bigint - 1 LIMIT 1), 0)
    )
),
-- One row. factor: how much of a boost passes between memories that were stored at once, 0 to 1, by the autocorrelation
-- of the similarities: whether neighbors of seeds are more like the query than other memories are.
series AS MATERIALIZED (
    SELECT coalesce(least(1, greatest(0,
        sum(of_seed * of_neighbor) / greatest(sum(of_seed * of_seed), 1e-9) / 0.1
    )), 0) AS factor
    FROM (
        SELECT seed_similarity - mean AS of_seed, similarity - mean AS of_neighbor
        FROM near_seed CROSS JOIN mean_similarity
        WHERE is_stored_at_once AND similarity IS NOT NULL
    ) deviations
),
-- The neighbors that may get into the result: one row per row of near_seed, without those that cannot reach the cutoff.
-- boosted_score: before questions lose a part of it, and before the ceiling.
neighbor AS MATERIALIZED (
    SELECT id, moment, term_mask, own_score, seed_id, seed_own_score, is_below_seed,
        own_score + coalesce(
            boost_factor * (
                0.35 * 0.9 * greatest(seed_similarity - similarity, 0)
                + 0.65 * 0.6 * new_coverage
            ), 0
        ) AS boosted_score
    FROM (
        SELECT id, moment, term_mask, similarity, seed_id, seed_own_score, seed_similarity, seed_coverage, own_score,
            new_term_mask, is_below_seed,
            boost_factor * CASE WHEN is_stored_at_once THEN (SELECT factor FROM series) ELSE 1 END AS boost_factor
        FROM near_seed
    ) m
    CROSS JOIN LATERAL (
        SELECT (SELECT coalesce(sum(weight), 0) FROM bit_weight WHERE new_term_mask & flag <> 0 AND term_mask & flag = 0)
            / (SELECT sum(weight) FROM bit_weight) AS new_coverage
    ) coverages
    WHERE -- Whether a memory may get into the result by its seed. Before coverages are computed, pairs are left out that cannot
    -- reach the cutoff even with all of the seed's coverage. Of those above their seed, the score before the loss of questions
    -- counts, since it may raise the ceiling of others.
    (
        term_mask >= 0
        AND (seed_similarity > similarity OR new_term_mask <> 0)
        AND (own_score + coalesce(
            boost_factor * (
                0.35 * 0.9 * greatest(seed_similarity - similarity, 0)
                + 0.65 * 0.6 * seed_coverage
            ), 0
        ))
            * CASE WHEN is_below_seed AND term_mask & 1::bigint <> 0 THEN 0.85::float8 ELSE 1 END
            -- The cutoff: the score of the last memory of the result, if there were no boosts. Boosts only raise it.
            >= coalesce((SELECT score FROM top_k ORDER BY score DESC, id DESC OFFSET :limit::bigint - 1 LIMIT 1), 0)
    )
),
-- Up to which score a seed can boost memories below itself, if that is more than its own score: what it gets from such
-- memories itself. One row per memory that gets something from one below itself.
ceiling AS (
    SELECT id AS seed_id, max(boosted_score) AS score FROM neighbor WHERE NOT is_below_seed GROUP BY id
),
-- The result: up to :limit rows, one per memory. Of several scores of a memory the best counts. A boost closes no more
-- than a share of the gap to the ceiling, so that the memory stays behind its seed.
ranked AS (
    SELECT id, least(score, 1) AS score, own_score, seed_id
    FROM (
        SELECT id, max(score) AS score, max(own_score) AS own_score, (array_agg(seed_id ORDER BY score DESC, seed_id DESC NULLS FIRST))[1] AS seed_id
        FROM (
            SELECT id, score, own_score, NULL AS seed_id FROM top_k
            UNION ALL
            SELECT n.id,
                CASE WHEN term_mask & 1::bigint <> 0 THEN 0.85::float8 ELSE 1 END
                * -- The share of its score that a memory keeps for its age. The exponent is bounded, since power() fails where a result is
                -- too small.
                CASE WHEN :recency::float8 IS NULL THEN 1 ELSE
                    1 - 0.15 * (1 - power(0.5::float8, least(
                        greatest(extract(epoch FROM now())::float8 - extract(epoch FROM moment)::float8, 0) / :recency::float8,
                        100
                    )))
                END
                * CASE WHEN is_below_seed
                    THEN least(boosted_score, own_score + 0.9 * (greatest(seed_own_score, ceiling.score) - own_score))
                    ELSE boosted_score
                END,
                own_score, seed_id
            FROM neighbor n LEFT JOIN ceiling USING (seed_id)
        ) scored
        GROUP BY id
        ORDER BY score DESC, own_score DESC, id DESC
        LIMIT :limit::bigint
    ) best
    -- Out here, since most searches have no :min_score.
    WHERE score > 0 AND score >= coalesce(:min_score::float8, 0)
),
audit_entry AS (
    SELECT :bucket::smallint AS bucket, :user_id::text AS user_id, :app::text AS app, :verb::text AS action,
        NULL AS memory_id, :scope::text AS scope
    FROM size WHERE NOT is_large_user
)
SELECT size.is_large_user, ranked.score,
-- What the score of a memory comes from, as `openmem.ranking.evidence` reads it.
ranked.seed_id,
-- 1 less the cosine, up to 2; NULL if another model embedded the memory. From or to a vector of zeros it is NaN, which
-- PostgreSQL orders above all numbers.
CASE WHEN m.embedding_model = :model::text
    THEN least(m.embedding OPERATOR(public.<=>) :vector::public.halfvec, 2)
END AS distance,
-- The lexemes of the query that a memory has, as bits, and more bits for its speaker and for being a question; the
-- least number for a memory without terms.
CASE WHEN (SELECT second IS NULL FROM masks)
    -- One inner product is enough for most queries.
    THEN coalesce((m.terms OPERATOR(public.<#>) (SELECT first FROM masks))::bigint, (-9223372036854775808)::bigint)
    ELSE coalesce(
        (m.terms OPERATOR(public.<#>) (SELECT first FROM masks))::bigint
            | ((m.terms OPERATOR(public.<#>) (SELECT second FROM masks))::bigint << 24)
            | coalesce((m.terms OPERATOR(public.<#>) (SELECT third FROM masks))::bigint << (2 * 24), 0),
        (-9223372036854775808)::bigint
    )
END AS term_mask,
(SELECT -- The share of its score that a memory keeps for its age. The exponent is bounded, since power() fails where a result is
-- too small.
CASE WHEN :recency::float8 IS NULL THEN 1 ELSE
    1 - 0.15 * (1 - power(0.5::float8, least(
        greatest(extract(epoch FROM now())::float8 - extract(epoch FROM moment)::float8, 0) / :recency::float8,
        100
    )))
END FROM (SELECT coalesce(m.valid_from, m.created_at) AS moment) dated) AS recency_factor,
(SELECT reach FROM query) AS reach,
ARRAY(SELECT flag FROM bit_weight ORDER BY flag) AS flags,
ARRAY(SELECT weight::float8 FROM bit_weight ORDER BY flag) AS weights,
-- Of a long query, the words that count and the bits of each.
ARRAY(SELECT word FROM scored_lexeme WHERE NOT is_ignored GROUP BY word ORDER BY word) AS words,
ARRAY(
    SELECT coalesce(bit_or(1::bigint << bit) FILTER (WHERE bit < 63), 0)
    FROM scored_lexeme WHERE NOT is_ignored GROUP BY word ORDER BY word
) AS flags_of_words,
    m.id, m.content, m.user_id, m.created_at, m.scope, m.tags, m.source::text, m.confidence,
    m.valid_from, m.valid_to,
    CASE WHEN :readable_paths::text[] IS NULL OR m.supersedes = '{}' THEN m.supersedes ELSE (
        -- The ids of m.supersedes in their order, without those of memories that the caller may not read.
        SELECT array_agg(named.id ORDER BY named.position)
        FROM unnest(m.supersedes) WITH ORDINALITY AS named (id, position)
        CROSS JOIN LATERAL (
            SELECT FROM openmem.memories s
            WHERE s.id = named.id AND s.bucket = :bucket::smallint AND s.user_id = m.user_id
                AND (:readable_paths::text[] IS NULL OR s.scope = ANY (:readable_paths::text[])
                    OR s.scope ^@ ANY (:readable_prefixes::text[])) AND (s.expires_at IS NULL OR s.expires_at > now())
            -- A fence: without it the planner may read all memories of the user, and join them.
            OFFSET 0
        ) s
    ) END AS supersedes,
    m.embedding_model, m.updated_at, m.metadata::text, m.key, m.version, m.expires_at, m.indexed,
    m.extensions::text
FROM size LEFT JOIN (
    ranked CROSS JOIN LATERAL (
        -- A fence: each memory is looked up by its id.
        SELECT * FROM openmem.memories m WHERE m.id = ranked.id AND m.bucket = :bucket::smallint OFFSET 0
    ) m
) ON true
WHERE -- True, once the entry is in the audit log; there is one at most. A function writes it, so that a database that is sharded
-- by bucket runs the whole statement in one place. IS NULL makes a truth value of a function without a result.
(
    SELECT openmem.log_read(e.bucket, e.user_id, e.app, e.action, e.memory_id, e.scope, :request_id::text) IS NULL
    FROM audit_entry e
) IS NOT TRUE
ORDER BY ranked.score DESC, ranked.own_score DESC, ranked.id DESC;

ROLLBACK;
