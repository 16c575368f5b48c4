-- Made by tools/sql.py; what is changed here is lost.
\set query '''Where does Maya live?'''
\set vector 'array_fill(0.1::real, ARRAY[256])'
\set bucket 677
\set user_id '''maya'''
\set selected_paths NULL
\set selected_prefixes NULL
\set model '''hashing:256'''
\set limit 10
\set min_score NULL
\set app NULL
\set verb '''search'''
\set scope NULL
\set request_id '''a request'''
\set readable_paths NULL
\set readable_prefixes NULL

BEGIN;

WITH 

        term AS MATERIALIZED (
            SELECT (place + 1)::int AS bit,
                openmem.term_number(lexeme) AS number,
                openmem.term_number(lexeme || ':') AS speaker
            FROM unnest(ARRAY(
                SELECT lexeme FROM unnest(to_tsvector('pg_catalog.english', :query::text))
                ORDER BY positions[1]
            )) WITH ORDINALITY AS words (lexeme, place)
        ),
        query AS MATERIALIZED (
            SELECT :vector::public.halfvec AS vector, count(*) AS terms,
                count(*) > 61 AS is_long
            FROM term
        )
    ,
    outgrown AS MATERIALIZED (SELECT false AS yes),
    span AS MATERIALIZED (
        SELECT first, newest, newest - first + 1 AS memories, (newest - first) / 16 + 1 AS part
        FROM (SELECT m.ordinal AS first FROM openmem.memories m WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text ORDER BY m.ordinal LIMIT 1) oldest,
            (SELECT m.ordinal AS newest FROM openmem.memories m WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text ORDER BY m.ordinal DESC LIMIT 1) newest
    ),
    sample AS MATERIALIZED (
        SELECT m.terms FROM span CROSS JOIN generate_series(first, newest, part) AS start CROSS JOIN LATERAL (
            SELECT m.terms FROM openmem.memories m WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text AND (:selected_paths::text[] IS NULL OR m.scope = ANY (:selected_paths::text[])
                OR m.scope ^@ ANY (:selected_prefixes::text[]))
            AND (m.valid_from IS NULL OR m.valid_from <= now()) AND (m.valid_to IS NULL OR m.valid_to > now()) AND m.ordinal >= start AND m.ordinal < start + part
            ORDER BY m.ordinal LIMIT 24
        ) m
    ),
    all_mask AS MATERIALIZED (
        SELECT chunk, ('{' || coalesce(string_agg(number || ':-' || flags, ',') FILTER (WHERE flags <> 0), '') || '}/536870912')::public.sparsevec AS words
        FROM (
            SELECT number, bit / 21 AS chunk, bit_or((1::bigint << (bit % 21))) AS flags
            FROM (
        SELECT number, bit FROM term UNION ALL SELECT speaker, 0 FROM term
        UNION ALL SELECT openmem.term_number('?'), 1
    ) entries GROUP BY number, chunk
        ) numbered
        GROUP BY chunk
    ),
    sample_count AS MATERIALIZED (
        SELECT chunk, found, count(*)::float8 AS memories
        FROM (
            SELECT chunk, (m.terms OPERATOR(public.<#>) all_mask.words)::bigint AS found
            FROM sample m CROSS JOIN all_mask WHERE true
        ) compared
        WHERE found <> 0 GROUP BY chunk, found
    ),
    counted AS MATERIALIZED (
        SELECT t.bit, number, coalesce(sum(c.memories), 0) AS memories,
            (SELECT count(*)::float8 FROM sample) AS total
        FROM (SELECT bit, number FROM term UNION ALL SELECT 0, NULL WHERE EXISTS (SELECT FROM term)) t
        LEFT JOIN sample_count c ON (c.chunk = t.bit / 21 AND c.found & (1::bigint << (t.bit % 21)) <> 0)
        GROUP BY t.bit, number
    ),
    term_weight AS MATERIALIZED (
        SELECT bit, number, CASE WHEN bit <> 0 THEN 1 WHEN memories > 0 THEN 1.5::float8 ELSE 0 END * ln(1 + (1 + total) / (1 + memories)) AS weight FROM counted
    ),
    wanted AS MATERIALIZED (
        SELECT ('{' || coalesce(string_agg(number || ':-' || value, ',') FILTER (WHERE value <> 0), '') || '}/536870912')::public.sparsevec AS words
        FROM (
            SELECT number, coalesce(sum(weight) / (SELECT sum(weight) FROM term_weight), 0)
                + 2 * max((bit = 1)::int) AS value
            FROM (
        SELECT number, bit FROM term UNION ALL SELECT speaker, 0 FROM term
        UNION ALL SELECT openmem.term_number('?'), 1
    ) entries
            LEFT JOIN (SELECT bit, weight FROM term_weight) weights USING (bit)
            GROUP BY number
        ) valued
    ),
    rare AS MATERIALIZED (
        SELECT openmem.word_key(:user_id::text, number) AS key, expected, row_number() OVER rarest AS place,
            row_number() OVER rarest = 1 OR sum(expected) OVER rarest <= 300 AS suffices
        FROM (
            SELECT bit, number, counted.memories * span.memories / greatest(total, 1) + 1 AS expected
            FROM counted CROSS JOIN span WHERE number IS NOT NULL AND span.memories > 1000
        ) words
        WINDOW rarest AS (ORDER BY expected, bit)
    ),
    less_rare AS (SELECT * FROM rare WHERE NOT suffices ORDER BY place LIMIT 3),
    pair AS MATERIALIZED (
        SELECT ARRAY[one.key, other.key] AS keys, row_number() OVER () AS number
        FROM less_rare one JOIN less_rare other ON one.place < other.place CROSS JOIN span
        WHERE one.expected * other.expected / span.memories <= 300
    ),
    hit AS MATERIALIZED (
    SELECT id, ordinal, at, nearness, terms, found, CASE WHEN found < 2
        THEN coalesce(0.35 * nearness + 0.65 * (found - 2 * 0 + (SELECT CASE WHEN terms > 0 THEN 0 END FROM query)), (found - 2 * 0 + (SELECT CASE WHEN terms > 0 THEN 0 END FROM query)), nearness, 0)
        ELSE coalesce(0.35 * nearness + 0.65 * (found - 2 * 1 + (SELECT CASE WHEN terms > 0 THEN 0 END FROM query)), (found - 2 * 1 + (SELECT CASE WHEN terms > 0 THEN 0 END FROM query)), nearness, 0) * 0.85::float8 END AS score
    FROM (
        SELECT m.id, m.ordinal, coalesce(m.valid_from, m.created_at) AS at, CASE WHEN m.embedding_model = :model::text THEN 1 - least(m.embedding OPERATOR(public.<=>) (SELECT vector FROM query), 1) END AS nearness, m.terms, m.terms OPERATOR(public.<#>) (SELECT words FROM wanted) AS found

    FROM openmem.memories m
    WHERE m.ordinal > 1000 AND (openmem.word_keys(m.user_id, m.content, coalesce(m.valid_from, m.created_at)) && ARRAY(SELECT key FROM rare WHERE suffices) OR openmem.word_keys(m.user_id, m.content, coalesce(m.valid_from, m.created_at)) @> (SELECT keys FROM pair WHERE number = 1) OR openmem.word_keys(m.user_id, m.content, coalesce(m.valid_from, m.created_at)) @> (SELECT keys FROM pair WHERE number = 2) OR openmem.word_keys(m.user_id, m.content, coalesce(m.valid_from, m.created_at)) @> (SELECT keys FROM pair WHERE number = 3))
        AND m.bucket = :bucket::smallint
        AND CASE WHEN m.user_id = :user_id::text THEN (:selected_paths::text[] IS NULL OR m.scope = ANY (:selected_paths::text[])
            OR m.scope ^@ ANY (:selected_prefixes::text[]))
            AND (m.valid_from IS NULL OR m.valid_from <= now()) AND (m.valid_to IS NULL OR m.valid_to > now()) END

        OFFSET 0
    ) m
    ORDER BY score DESC, id DESC LIMIT greatest(30, :limit::bigint)
),
    enough AS MATERIALIZED (SELECT count(*) >= greatest(30, :limit::bigint) AS yes FROM hit),
    other AS MATERIALIZED (
    SELECT id, ordinal, at, nearness, terms, found, CASE WHEN found < 2
        THEN coalesce(0.35 * nearness + 0.65 * (found - 2 * 0 + (SELECT CASE WHEN terms > 0 THEN 0 END FROM query)), (found - 2 * 0 + (SELECT CASE WHEN terms > 0 THEN 0 END FROM query)), nearness, 0)
        ELSE coalesce(0.35 * nearness + 0.65 * (found - 2 * 1 + (SELECT CASE WHEN terms > 0 THEN 0 END FROM query)), (found - 2 * 1 + (SELECT CASE WHEN terms > 0 THEN 0 END FROM query)), nearness, 0) * 0.85::float8 END AS score
    FROM (
        SELECT m.id, m.ordinal, coalesce(m.valid_from, m.created_at) AS at, CASE WHEN m.embedding_model = :model::text THEN 1 - least(m.embedding OPERATOR(public.<=>) (SELECT vector FROM query), 1) END AS nearness, m.terms, m.terms OPERATOR(public.<#>) (SELECT words FROM wanted) AS found

    FROM openmem.memories m WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text AND (:selected_paths::text[] IS NULL OR m.scope = ANY (:selected_paths::text[])
        OR m.scope ^@ ANY (:selected_prefixes::text[]))
            AND (m.valid_from IS NULL OR m.valid_from <= now()) AND (m.valid_to IS NULL OR m.valid_to > now()) AND m.ordinal <= (SELECT CASE WHEN yes THEN 1000 ELSE newest END FROM enough CROSS JOIN span)

        OFFSET 0
    ) m
    ORDER BY score DESC, id DESC LIMIT greatest(30, :limit::bigint)
),
    top AS MATERIALIZED (
        SELECT * FROM other UNION ALL SELECT * FROM hit WHERE (SELECT yes FROM enough)
        ORDER BY score DESC, id DESC LIMIT greatest(30, :limit::bigint)
    ),
    lending AS (SELECT * FROM top ORDER BY score DESC, id DESC LIMIT 30),
    top_count AS MATERIALIZED (
        SELECT chunk, found, count(*)::float8 AS memories
        FROM (
            SELECT chunk, (m.terms OPERATOR(public.<#>) all_mask.words)::bigint AS found
            FROM lending m CROSS JOIN all_mask WHERE (SELECT is_long FROM query)
        ) compared
        WHERE found <> 0 GROUP BY chunk, found
    ),
    scored AS MATERIALIZED (

        SELECT least(row_number() OVER (ORDER BY memories IS NULL, weight DESC, bit) + 1, 63)::int
            AS bit, number, memories, weight
        FROM (
            SELECT bit, number, sum(memories) AS memories, weight
            FROM (SELECT * FROM term_weight WHERE bit <> 0) t LEFT JOIN top_count c ON (c.chunk = t.bit / 21 AND c.found & (1::bigint << (t.bit % 21)) <> 0) GROUP BY bit, number, weight
        ) counted

    ),
    own_mask AS MATERIALIZED (
        SELECT chunk, ('{' || coalesce(string_agg(number || ':-' || flags, ',') FILTER (WHERE flags <> 0), '') || '}/536870912')::public.sparsevec AS words
        FROM (
            SELECT number, bit / 21 AS chunk, bit_or((1::bigint << (bit % 21))) AS flags
            FROM (
        SELECT number, bit FROM scored WHERE bit < 63 UNION ALL SELECT speaker, 0 FROM term
        UNION ALL SELECT openmem.term_number('?'), 1
    ) entries GROUP BY number, chunk
        ) numbered
        GROUP BY chunk
    ),
    weight AS MATERIALIZED (
        SELECT (1::bigint << bit) AS flag, sum(weight) AS weight
        FROM (
            SELECT bit, weight FROM scored UNION ALL SELECT bit, weight FROM term_weight WHERE bit = 0
        ) weighted
        GROUP BY bit
    ),
    best AS MATERIALIZED (
        SELECT id, ordinal, at, nearness, own, (found - 2 * (own >> 1 & 1) + (SELECT CASE WHEN terms > 0 THEN 0 END FROM query)) AS said, score
        FROM (SELECT m.*, 
        CASE WHEN (SELECT terms <= 19 FROM query) THEN (m.terms OPERATOR(public.<#>) (SELECT words FROM own_mask WHERE chunk = 0))::bigint
        ELSE (m.terms OPERATOR(public.<#>) (SELECT words FROM own_mask WHERE chunk = 0))::bigint | (coalesce((m.terms OPERATOR(public.<#>) (SELECT words FROM own_mask WHERE chunk = 1))::bigint, 0) << 21) | (coalesce((m.terms OPERATOR(public.<#>) (SELECT words FROM own_mask WHERE chunk = 2))::bigint, 0) << 42) END
     AS own FROM top m OFFSET 0) best
    ),

        lender AS MATERIALIZED (
            SELECT id, ordinal, date_bin(interval '3600 seconds', at, 'epoch') AS episode, nearness, own, said,
                coalesce(0.35 * nearness + 0.65 * said, said, nearness, 0) AS own_score
            FROM best ORDER BY score DESC, id DESC LIMIT 30
        ),
        cutoff AS MATERIALIZED (
            SELECT score FROM best ORDER BY score DESC, id DESC OFFSET :limit::bigint - 1 LIMIT 1
        ),
        neighbor AS MATERIALIZED (
            SELECT id, own, own_score, lender_id, (own_score, id) < (lender_score, lender_id) AS is_below,
                coalesce(0.35 * (nearness + least(1, 4.0 * nearness) * 0.9 * greatest(nearness_around - nearness, 0)) + 0.65 * (said + least(1, 4.0 * nearness) * 0.6 * said_around), said, nearness, 0) AS boosted_score
            FROM (
                SELECT m.id, m.nearness, m.own, m.said, lender.id AS lender_id,
                    lender.own_score AS lender_score, lender.nearness AS nearness_around,
                    lender.said AS most_around, lender.own & ~(m.own | 3::bigint) AS around
                FROM lender CROSS JOIN LATERAL (
    SELECT id, ordinal, at, nearness, own, (found - 2 * (own >> 1 & 1) + (SELECT CASE WHEN terms > 0 THEN 0 END FROM query)) AS said
    FROM (
        SELECT m.id, m.ordinal, coalesce(m.valid_from, m.created_at) AS at, CASE WHEN m.embedding_model = :model::text THEN 1 - least(m.embedding OPERATOR(public.<=>) (SELECT vector FROM query), 1) END AS nearness, 
        CASE WHEN (SELECT terms <= 19 FROM query) THEN (m.terms OPERATOR(public.<#>) (SELECT words FROM own_mask WHERE chunk = 0))::bigint
        ELSE (m.terms OPERATOR(public.<#>) (SELECT words FROM own_mask WHERE chunk = 0))::bigint | (coalesce((m.terms OPERATOR(public.<#>) (SELECT words FROM own_mask WHERE chunk = 1))::bigint, 0) << 21) | (coalesce((m.terms OPERATOR(public.<#>) (SELECT words FROM own_mask WHERE chunk = 2))::bigint, 0) << 42) END
     AS own, m.terms OPERATOR(public.<#>) (SELECT words FROM wanted) AS found FROM openmem.memories m WHERE m.bucket = :bucket::smallint AND m.user_id = :user_id::text AND (:selected_paths::text[] IS NULL OR m.scope = ANY (:selected_paths::text[])
         OR m.scope ^@ ANY (:selected_prefixes::text[]))
            AND (m.valid_from IS NULL OR m.valid_from <= now()) AND (m.valid_to IS NULL OR m.valid_to > now()) AND m.ordinal <> lender.ordinal
            AND m.ordinal >= lender.ordinal - 2
            AND m.ordinal <= lender.ordinal + 2 OFFSET 0
    ) near
) m
                WHERE m.at >= lender.episode AND m.at < lender.episode + interval '3600 seconds'
                    AND (lender.nearness > m.nearness OR lender.own & ~(m.own | 3::bigint) <> 0)
            ) m
            CROSS JOIN LATERAL (SELECT coalesce(0.35 * nearness + 0.65 * said, said, nearness, 0) AS own_score) own_scores
            CROSS JOIN LATERAL (SELECT ((SELECT coalesce(sum(weight), 0) FROM weight WHERE around & flag <> 0) / (SELECT sum(weight) FROM weight)) AS said_around) shares
            WHERE coalesce(0.35 * (nearness + least(1, 4.0 * nearness) * 0.9 * greatest(nearness_around - nearness, 0)) + 0.65 * (said + least(1, 4.0 * nearness) * 0.6 * most_around), said, nearness, 0) * CASE WHEN (own_score, id) < (lender_score, lender_id) THEN CASE WHEN own & 2::bigint <> 0 THEN 0.85::float8 ELSE 1 END
                ELSE 1 END >= coalesce((SELECT score FROM cutoff), 0)
        ),
        ceiling AS MATERIALIZED (
            SELECT lender.id AS lender_id, greatest(lender.own_score, max(n.boosted_score)) AS score
            FROM lender LEFT JOIN neighbor n ON n.id = lender.id AND NOT n.is_below
            GROUP BY lender.id, lender.own_score
        ),
        ranked AS MATERIALIZED (
            SELECT id, least(score, 1) AS score, own_score
            FROM (
                SELECT id, max(score) AS score, max(own_score) AS own_score
                FROM (
                    SELECT id, score, coalesce(0.35 * nearness + 0.65 * said, said, nearness, 0) AS own_score FROM best
                    UNION ALL
                    SELECT n.id, CASE WHEN own & 2::bigint <> 0 THEN 0.85::float8 ELSE 1 END * CASE WHEN is_below
                        THEN least(boosted_score, own_score + 0.9 * (ceiling.score - own_score))
                        ELSE boosted_score END, own_score
                    FROM neighbor n JOIN ceiling USING (lender_id)
                ) scored
                GROUP BY id ORDER BY score DESC, own_score DESC, id DESC LIMIT :limit::bigint
            ) best
            WHERE score > 0 AND score >= coalesce(:min_score::float8, 0)
        )

,
        audit_entry AS (
            SELECT :bucket::smallint AS bucket, :user_id::text AS user_id, :app::text AS app,
                :verb::text AS action, NULL AS memory_id, :scope::text AS scope
            FROM outgrown WHERE NOT outgrown.yes
        ),
        -- One row. A reader does not wait until its audit entry is on the disk: before the entry is written, this switches
        -- synchronous commit off for the running transaction. MATERIALIZED, so that it runs once.
        async_commit AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
        -- The entries in the audit log, one row per row of audit_entry.
        audit AS (
            INSERT INTO openmem.audit_log (bucket, user_id, app, action, memory_id, scope, request_id)
            SELECT e.bucket, e.user_id, e.app, e.action, e.memory_id, e.scope, :request_id::text
            FROM async_commit, audit_entry e
        )
        SELECT outgrown.yes, ranked.score, m.id, m.content, m.user_id, m.created_at, m.scope, m.tags, m.source::text, m.confidence,
        m.valid_from, m.valid_to,
        CASE WHEN :readable_paths::text[] IS NULL OR m.supersedes = '{}' THEN m.supersedes ELSE (
            -- The ids of m.supersedes in their order, without those of memories that the caller may not read.
            SELECT array_agg(named.id ORDER BY named.position)
            FROM unnest(m.supersedes) WITH ORDINALITY AS named (id, position)
            CROSS JOIN LATERAL (
                SELECT FROM openmem.memories s
                WHERE s.id = named.id AND s.bucket = :bucket::smallint AND s.user_id = m.user_id
                    AND (:readable_paths::text[] IS NULL OR s.scope = ANY (:readable_paths::text[])
                        OR s.scope ^@ ANY (:readable_prefixes::text[]))
                -- A fence: without it the planner may read all memories of the user, and join them.
                OFFSET 0
            ) s
        ) END AS supersedes,
        m.embedding_model, m.updated_at, m.extensions::text
        FROM outgrown LEFT JOIN (
            ranked CROSS JOIN LATERAL (
                SELECT * FROM openmem.memories m WHERE m.id = ranked.id AND m.bucket = :bucket::smallint OFFSET 0
            ) m
        ) ON true
        ORDER BY ranked.score DESC, ranked.own_score DESC, ranked.id DESC;

ROLLBACK;
