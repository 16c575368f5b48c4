-- A database at version 5 of the tables: two users, six memories.
CREATE EXTENSION vector SCHEMA public;
CREATE SCHEMA openmem;
CREATE TABLE openmem.migrations (version int PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());
CREATE FUNCTION openmem.term_number(term text) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (hashtextextended(term, 0) & (536870912 - 1)) + 1;

CREATE FUNCTION openmem.words(content text, at timestamptz) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN tsvector_to_array(to_tsvector('pg_catalog.english', content)) || ARRAY[
        extract(day FROM at AT TIME ZONE 'UTC')::text,
        (ARRAY['januari', 'februari', 'march', 'april', 'may', 'june', 'juli', 'august', 'septemb', 'octob',
            'novemb', 'decemb'])[extract(month FROM at AT TIME ZONE 'UTC')::int],
        extract(year FROM at AT TIME ZONE 'UTC')::text
    ];

CREATE FUNCTION openmem.terms(content text, at timestamptz) RETURNS public.sparsevec
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $body$
    BEGIN
        RETURN ('{' || array_to_string(ARRAY(
            SELECT DISTINCT openmem.term_number(term)
            FROM unnest(openmem.words(content, at) || ARRAY[
                CASE WHEN content ~ '\?\s*$' THEN '?' END,
                CASE WHEN content ~ '^\s*\w+\s*:\s' THEN
                    (tsvector_to_array(to_tsvector('pg_catalog.english', split_part(content, ':', 1))))[1] || ':'
                END
            ]) term
            WHERE term IS NOT NULL LIMIT 16000
        ), ':1,') || ':1}/536870912')::public.sparsevec;
    END $body$;

CREATE FUNCTION openmem.word_key(user_id text, term_number bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN hashint8extended(term_number, hashtextextended(user_id, 0));

CREATE FUNCTION openmem.word_keys(user_id text, content text, at timestamptz) RETURNS bigint[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $body$
    BEGIN
        RETURN ARRAY(
            SELECT openmem.word_key(user_id, openmem.term_number(word))
            FROM unnest(openmem.words(content, at)) word
        );
    END $body$;

CREATE TABLE openmem.memories (
    id text COLLATE "C" PRIMARY KEY,
    user_id text COLLATE "C" NOT NULL,
    bucket smallint NOT NULL,
    ordinal int NOT NULL,
    created_at timestamptz NOT NULL,
    valid_from timestamptz,
    valid_to timestamptz,
    scope text COLLATE "C",
    embedding_model text COLLATE "C",
    embedding public.halfvec,
    terms public.sparsevec NOT NULL
        GENERATED ALWAYS AS (openmem.terms(content, coalesce(valid_from, created_at))) STORED,
    updated_at timestamptz,
    confidence float8,
    tags text[],
    content text NOT NULL,
    source json,
    supersedes text[],
    extensions json
);
ALTER TABLE openmem.memories ALTER COLUMN embedding SET STORAGE MAIN;
CREATE INDEX memories_newest ON openmem.memories (user_id, created_at, id);
CREATE INDEX memories_in_order ON openmem.memories (user_id, ordinal) INCLUDE (bucket);
CREATE INDEX memories_words ON openmem.memories
    USING gin (openmem.word_keys(user_id, content, coalesce(valid_from, created_at)))
    WITH (fastupdate = off) WHERE ordinal > 1000;
CREATE STATISTICS openmem.memories_of_users (dependencies) ON user_id, bucket FROM openmem.memories;

CREATE TABLE openmem.audit_log (
    id bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    bucket smallint NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    app text,
    action text NOT NULL,
    memory_id text COLLATE "C",
    scope text COLLATE "C",
    request_id text,
    PRIMARY KEY (id, bucket)
);
CREATE INDEX audit_log_newest ON openmem.audit_log (user_id, at);
CREATE STATISTICS openmem.audit_log_of_users (dependencies) ON user_id, bucket FROM openmem.audit_log;
CREATE TABLE openmem.idempotency_keys (
    bucket smallint NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    fingerprint text NOT NULL,
    memory_id text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (user_id, key, bucket)
);
CREATE INDEX idempotency_keys_oldest ON openmem.idempotency_keys (bucket, at);
DO $lock$ BEGIN
    FOR attempt IN 1..10000 LOOP
        BEGIN
            SET LOCAL lock_timeout = '200ms';
            LOCK TABLE openmem.memories IN ACCESS EXCLUSIVE MODE;
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            PERFORM pg_sleep(0.2);
        END;
    END LOOP;
END $lock$;
SET LOCAL lock_timeout = DEFAULT;

ALTER TABLE openmem.memories ALTER COLUMN terms DROP EXPRESSION;
ALTER TABLE openmem.memories ALTER COLUMN terms DROP NOT NULL;
ALTER TABLE openmem.memories ADD COLUMN analysis smallint, ADD COLUMN utc_offset smallint;

CREATE FUNCTION openmem.lexeme_keys(user_id text, terms public.sparsevec) RETURNS bigint[]
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $body$
    BEGIN
        RETURN ARRAY(
            SELECT openmem.word_key(user_id, split_part(entry, ':', 1)::bigint)
            FROM unnest(string_to_array(split_part(ltrim(terms::text, '{'), '}', 1), ',')) entry
        );
    END $body$;

CREATE FUNCTION openmem.forget_analysis() RETURNS trigger LANGUAGE plpgsql AS $body$
    BEGIN
        NEW.analysis := NULL;
        RETURN NEW;
    END $body$;
CREATE TRIGGER memories_forget_analysis BEFORE UPDATE OF content ON openmem.memories
    FOR EACH ROW WHEN (
        OLD.content IS DISTINCT FROM NEW.content AND OLD.terms::text IS NOT DISTINCT FROM NEW.terms::text
    )
    EXECUTE FUNCTION openmem.forget_analysis();
DROP INDEX  IF EXISTS openmem.memories_lexemes;
CREATE INDEX  memories_lexemes ON openmem.memories
    USING gin (openmem.lexeme_keys(user_id, terms))
    WITH (fastupdate = off) WHERE ordinal > 1000;
DROP INDEX  IF EXISTS openmem.memories_words;
DROP INDEX  IF EXISTS openmem.memories_word_keys_idx;
CREATE TABLE openmem.baselines (
    embedding_model text COLLATE "C",
    number smallint,
    vector public.halfvec NOT NULL,
    PRIMARY KEY (embedding_model, number)
);
GRANT SELECT ON openmem.baselines TO PUBLIC;
INSERT INTO openmem.migrations (version, applied_at)
VALUES ('1', '2026-11-28 15:04:05.8467+00');
INSERT INTO openmem.migrations (version, applied_at)
VALUES ('2', '2026-11-28 15:04:05.8467+00');
INSERT INTO openmem.migrations (version, applied_at)
VALUES ('3', '2026-11-28 15:04:05.8467+00');
INSERT INTO openmem.migrations (version, applied_at)
VALUES ('4', '2026-11-28 15:04:05.8467+00');
INSERT INTO openmem.migrations (version, applied_at)
VALUES ('5', '2026-11-28 15:04:05.8467+00');
INSERT INTO openmem.memories (id, user_id, bucket, ordinal, created_at, valid_from, valid_to, scope, embedding_model, embedding, terms, updated_at, confidence, tags, content, source, supersedes, extensions, analysis, utc_offset)
VALUES ('mem_6b24gw29d13bwte6n5', 'maya', '677', '1', '2026-11-28 15:04:06.495442+00', '2021-05-01 07:00:00+00', '2024-02-03 00:00:00+00', 'home/address', 'hashing:256', '[0,0,0,0,-0.16906738,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0.16906738,0,0,-0.16906738,0,0.16906738,0,0,0,0,0,0,0,0,0,-0.16906738,0,0,-0.16906738,0,0,0,0,0,0,0,0,0,0,-0.16906738,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0.16906738,0,0,0,0,0,-0.16906738,0,0,0.16906738,0,0,0,0,0.16906738,0,0,0,0,0,0,0,0,0,-0.16906738,-0.16906738,0.16906738,0,0.16906738,0,0,-0.16906738,0,0,0,0,0,0,0.16906738,0,0,0,0,0,0,0,0,-0.16906738,0,0,0,0,0,0,0,0,0.16906738,0,-0.16906738,0,0,0,0,0,0,0,0,0,0,0,0,0,0.16906738,0,0,0,0,0,0,0,0,0,0,0,0,0,0,-0.16906738,0,0,0,0,0,0,0,0,0,0,0,0,0.16906738,-0.16906738,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,-0.16906738,0,0,0,0.16906738,0,0,0,0,0,0,0,0,0,0,0,0,0.16906738,0,0,0,0,0.16906738,0,0,0,0,0,0,0,0,0,0,0,0,0,-0.16906738,0,0,-0.16906738,0,0,0,0,0,0,0,0,0,0,0.16906738,0.16906738,0,-0.16906738,0,0,0.16906738,0,-0.16906738,0]', '{29951017:1,49467353:1,68572289:1,85658137:1,117760840:1,149260134:1,210176469:1,212038552:1,309716041:1,329452942:1,386403991:1,389801389:1,395445800:1,428450526:1,510297456:1}/536870912', '2026-11-28 15:04:06.506374+00', '0.5', '{city,home}', 'Maya lives in Leeds', '{"app": "chat", "type": "explicit", "page": 3}', NULL, NULL, '1', '120');
INSERT INTO openmem.memories (id, user_id, bucket, ordinal, created_at, valid_from, valid_to, scope, embedding_model, embedding, terms, updated_at, confidence, tags, content, source, supersedes, extensions, analysis, utc_offset)
VALUES ('mem_6b24gw318aesm6t9n5', 'maya', '677', '2', '2026-11-28 15:04:06.506374+00', '2024-02-03 00:00:00+00', NULL, 'home/address', 'hashing:256', '[0,0,0,0,0,0,0,-0.17407227,0,0.17407227,0,0,0,0,0,0,0.17407227,0,0,0.17407227,0,0,-0.17407227,0,0,0,0,0,0,0,0,0,0,0,0,0,0,-0.17407227,0,0,0,0,0,0,0,0,0,0,-0.17407227,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,-0.17407227,0,0,0,0,0,0,0,0.17407227,0,0,0,0,0.17407227,0,0,0,0,0,0,0,0,0,-0.17407227,-0.17407227,0,0,0,0,0.17407227,-0.17407227,0,0,0,0,0,0,0.17407227,0,0,0,0,0,0,0,0,-0.17407227,0,0,0,0,0,0,0,0,0,0,-0.17407227,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0.17407227,0,0,0,-0.17407227,0,0.17407227,0,0,0,0,0,0,0,0,0,0,0.17407227,0,0,0,0,0,-0.17407227,0,0.17407227,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0.17407227,0,0,0,0,0.17407227,0,0,0,0,0,0,0,0.17407227,0,0,0,0,0.17407227,0,0,0,0,0.17407227,0,0,0,0,0,0,0,0,-0.17407227,0,0,-0.17407227,0,0,0,0,0,0,0,0,0,0,0.17407227,0,0,-0.17407227,0,0,0.17407227,0,0,0]', '{49467353:1,57917928:1,69688104:1,85658137:1,167142662:1,210176469:1,218245784:1,246025506:1,293558951:1,309716041:1,329452942:1,395445800:1,441461568:1,465681610:1,529309134:1}/536870912', NULL, NULL, NULL, 'Maya lives in Porto', NULL, '{mem_6b24gw29d13bwte6n5}', NULL, '1', NULL);
INSERT INTO openmem.memories (id, user_id, bucket, ordinal, created_at, valid_from, valid_to, scope, embedding_model, embedding, terms, updated_at, confidence, tags, content, source, supersedes, extensions, analysis, utc_offset)
VALUES ('mem_6b24gw3gtzdyakz2n5', 'maya', '677', '3', '2026-11-28 15:04:06.510807+00', NULL, NULL, NULL, 'hashing:256', '[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,-0.15246582,0,0,0,0,-0.15246582,0,0.15246582,0,-0.15246582,0,0,0,0,0,0,-0.15246582,0,0,0,0,0,0,0,0,0,0,0,0,0.15246582,0.30493164,0,-0.15246582,-0.15246582,0,0.15246582,0,-0.15246582,0,0,0,-0.15246582,0,0.15246582,0,0,0,0.15246582,0,0,-0.15246582,0,0,0.15246582,-0.15246582,0,0,0,0,0,0,-0.15246582,0,0,0,0,0,0,0.15246582,0,0,0,0,0,0,0,0,0.15246582,0,-0.15246582,0,0,0,0,0,0,0,0,0,0.15246582,0,-0.15246582,0,0,0,0,0,0,-0.15246582,0,-0.15246582,0,0,0,0,0,0,0,0,0,-0.15246582,0,0,0,0,0,0,0,0,0.15246582,0,0,0,0,0,0,0,0,0,0,0,0,-0.15246582,0,0.15246582,0,0,0,0,0,0,0,0,0,0,0,0.15246582,0,0,-0.15246582,0,0,0,0,0,0,0,0,0,0,0,0.15246582,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0.15246582,0,0,0,-0.15246582,0.15246582,0,0,0,0,0,0,0,0.15246582,0,0,0.15246582,0,0,0,0,0,0,0,0,0,0,0.15246582,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,-0.15246582,0,0,0.15246582,0,0,0]', '{23784276:1,33104666:1,115457737:1,129827819:1,254408452:1,259841332:1,284849404:1,359682810:1,382217002:1,395445800:1,409159329:1,530543240:1}/536870912', NULL, NULL, NULL, 'Does Maya like green tea?', NULL, NULL, NULL, '1', NULL);
INSERT INTO openmem.memories (id, user_id, bucket, ordinal, created_at, valid_from, valid_to, scope, embedding_model, embedding, terms, updated_at, confidence, tags, content, source, supersedes, extensions, analysis, utc_offset)
VALUES ('mem_6b24gw3gtzkhw52fja', 'noor', '586', '1', '2026-11-28 15:04:06.510807+00', NULL, NULL, NULL, 'hashing:256', '[0,0,0,0,0,0,0,0,0,0,-0.13134766,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,-0.39379883,0,0.13134766,0,0,0,0,0,0.13134766,0,0,-0.13134766,0,0,-0.13134766,0.13134766,0,0,0,0.13134766,0,0,0,0,0,0.13134766,0,0,0,-0.13134766,0,0,0,0,0.13134766,0,0,0,0,-0.13134766,0,0,0,0,0.13134766,0,0,-0.13134766,0,0,0,0,0,0,-0.13134766,0.13134766,-0.13134766,0,0.13134766,0,0.13134766,0,0,0,0,-0.13134766,0,0,0,0,0,0,-0.13134766,0,0,0,0,0,0,0,0,0,0.13134766,0,0,0,0,-0.13134766,0,0.13134766,0.13134766,0,0,-0.13134766,0,0,0,0,0,0,0,-0.13134766,0,0.13134766,0,0,0,0,0,0,0,0,-0.13134766,0,0,0.13134766,0,0,0,0.13134766,0,0,-0.13134766,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0.13134766,0,0,0,0,-0.13134766,0,0,0.13134766,0,0,-0.13134766,0,0,0,0,0,0,0,0,0,0.13134766,0,0,0,0,0.13134766,-0.13134766,0,0,0,-0.13134766,0,0,0,0.13134766,0,0,0,0,-0.13134766,0,0,0,0,0,0,0.13134766,0,-0.13134766,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0.13134766,0,0.13134766,0,0,0,0,0,0,0,0,0,-0.13134766,0,0,-0.13134766,0,0,0,0,0.13134766,0,-0.13134766,0]', '{23784276:1,115457737:1,137324315:1,243998855:1,259841332:1,284849404:1,392013294:1,409159329:1,439018904:1,439424066:1,484889283:1,530543240:1}/536870912', NULL, NULL, NULL, 'Noor: I ride a bicycle to work', NULL, NULL, '{"x-note": {"n": 1e+23, "long": [1, null]}}', '1', NULL);
INSERT INTO openmem.memories (id, user_id, bucket, ordinal, created_at, valid_from, valid_to, scope, embedding_model, embedding, terms, updated_at, confidence, tags, content, source, supersedes, extensions, analysis, utc_offset)
VALUES ('mem_6b24gw3xbq5fdnr4ja', 'noor', '586', '2', '2026-11-28 15:04:06.534633+00', NULL, '2999-12-31 00:00:00+00', NULL, 'hashing:256', '[0,0,-0.13867188,0,0,0.13867188,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,-0.13867188,0,0.13867188,0,0,0,0,0,0.13867188,0,0.13867188,-0.27734375,0,0,0,0,0,0,0,0,0.13867188,0.13867188,0,0,0,0.13867188,0,0.13867188,0,0,0,0,0.13867188,0,0,-0.13867188,0,0,0,0,0,0,0,-0.13867188,0,0,0,0,0,-0.13867188,0,0,0,0,0,0,0,0.13867188,0,0,0.13867188,0,0,0,0,-0.13867188,0,0,0,0,0,0,0,0,0,0,0,0,0.13867188,-0.13867188,0,0,0,0,0,0,0,0,0,0,0,0,-0.13867188,-0.13867188,0.13867188,0,0,0,0,0,0,-0.13867188,0,0,0,0,0,0,-0.13867188,0,0.13867188,0,-0.13867188,0,0,0.13867188,0,0,0,0,0,0,-0.13867188,0.13867188,0,0,0.13867188,0,0,0,0,0,0,0,0,0,0,0,0,0,-0.13867188,0,0,0,0,0,0,0.27734375,0,0.13867188,0,0,0,0,0,0,0,0,0.13867188,-0.13867188,0,0,0,-0.13867188,0,0,0,0,-0.13867188,0,0,0,0,0,0,-0.13867188,0,-0.13867188,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0.13867188,0,0,-0.13867188,0,0,0,0,0,0.13867188,0,0,0,0,0,-0.13867188,0,0,0,0,0,0.13867188,0,0,0,0,0,0,-0.13867188,0,0,0,0,0,0,0,0]', '{23784276:1,115457737:1,259841332:1,284849404:1,338792299:1,347971549:1,409159329:1,439018904:1,439424066:1,483543329:1,530543240:1}/536870912', '2026-11-28 15:04:06.55345+00', NULL, NULL, 'Noor''s café opens at eight', NULL, NULL, NULL, '1', NULL);
INSERT INTO openmem.memories (id, user_id, bucket, ordinal, created_at, valid_from, valid_to, scope, embedding_model, embedding, terms, updated_at, confidence, tags, content, source, supersedes, extensions, analysis, utc_offset)
VALUES ('mem_6b24gw5095pdb2pjja', 'noor', '586', '3', '2026-11-28 15:04:06.568781+00', NULL, NULL, NULL, 'hashing:256', '[0,0,0,0,-0.21325684,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,-0.21325684,0,0,0,0,0,0.21325684,0,0,0,0,0,0,0,0,0,0,0,0,0,0,-0.21325684,0,0,0,0,0,0,0,0.21325684,0,0,0,0,0,-0.21325684,0,0,0,0,0,0,0,0,0,0,0,0,0,-0.21325684,0,0,0,0,0,0.21325684,0,0,0,0,0,0,-0.21325684,0,0,0,0,0,0.21325684,0,0,0,0,0,0,0,0,0,0,0,0,-0.21325684,0,0,0,0,0,0,0,0,0,0,0,0,-0.21325684,0,0,0,0,0,0,0,0,0,0,0,0,0,-0.21325684,0,0,0,0,0,0,0,-0.21325684,0,0,0,0,0,0,0,0,0.21325684,0,0,-0.21325684,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,-0.21325684,0,0,0,0,0,0,0,0,0,0,0,0,0,0,-0.21325684,0,0,0,0,0,0,0,0,0,0,0,0,0,0.21325684,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,-0.21325684,0,0.21325684,0,0,-0.21325684,0,0,0,0,0,0,0,0,0,0,0,0,0]', '{23784276:1,104603240:1,115457737:1,259841332:1,284849404:1,409159329:1,530543240:1}/536870912', NULL, NULL, NULL, 'stored once', NULL, NULL, NULL, '1', NULL);
INSERT INTO openmem.audit_log (id, at, bucket, user_id, app, action, memory_id, scope, request_id) OVERRIDING SYSTEM VALUE
VALUES ('1', '2026-11-28 15:04:06.496496+00', '677', 'maya', 'diary', 'add', 'mem_6b24gw29d13bwte6n5', 'home/address', '661dd5694c7847aa922b1357229c915b');
INSERT INTO openmem.audit_log (id, at, bucket, user_id, app, action, memory_id, scope, request_id) OVERRIDING SYSTEM VALUE
VALUES ('10', '2026-11-28 15:04:06.651666+00', '677', 'maya', 'diary', 'search', NULL, NULL, '82aaf9e575ac4f059a42ece6e09f05d6');
INSERT INTO openmem.audit_log (id, at, bucket, user_id, app, action, memory_id, scope, request_id) OVERRIDING SYSTEM VALUE
VALUES ('11', '2026-11-28 15:04:06.65862+00', '677', 'maya', 'diary', 'list', NULL, NULL, '9b97dcaef42f47e88ebec6e6edb15b78');
INSERT INTO openmem.audit_log (id, at, bucket, user_id, app, action, memory_id, scope, request_id) OVERRIDING SYSTEM VALUE
VALUES ('12', '2026-11-28 15:04:06.659655+00', '586', 'noor', 'diary', 'list', NULL, NULL, '798ee9a63a8347b1982bdf2dd486450a');
INSERT INTO openmem.audit_log (id, at, bucket, user_id, app, action, memory_id, scope, request_id) OVERRIDING SYSTEM VALUE
VALUES ('2', '2026-11-28 15:04:06.507951+00', '677', 'maya', 'diary', 'add', 'mem_6b24gw318aesm6t9n5', 'home/address', '0f94e92b56ae4bc2a4ae4340d1f10d97');
INSERT INTO openmem.audit_log (id, at, bucket, user_id, app, action, memory_id, scope, request_id) OVERRIDING SYSTEM VALUE
VALUES ('3', '2026-11-28 15:04:06.52467+00', '677', 'maya', 'diary', 'add', 'mem_6b24gw3gtzdyakz2n5', NULL, '1308c52a70f344f08564dd6e9c6b302b');
INSERT INTO openmem.audit_log (id, at, bucket, user_id, app, action, memory_id, scope, request_id) OVERRIDING SYSTEM VALUE
VALUES ('4', '2026-11-28 15:04:06.524713+00', '586', 'noor', 'diary', 'add', 'mem_6b24gw3gtzkhw52fja', NULL, '1308c52a70f344f08564dd6e9c6b302b');
INSERT INTO openmem.audit_log (id, at, bucket, user_id, app, action, memory_id, scope, request_id) OVERRIDING SYSTEM VALUE
VALUES ('5', '2026-11-28 15:04:06.535259+00', '586', 'noor', 'diary', 'add', 'mem_6b24gw3xbq5fdnr4ja', NULL, 'e92c7e926d944e6c8923175d35bd334d');
INSERT INTO openmem.audit_log (id, at, bucket, user_id, app, action, memory_id, scope, request_id) OVERRIDING SYSTEM VALUE
VALUES ('6', '2026-11-28 15:04:06.559493+00', '586', 'noor', 'diary', 'update', 'mem_6b24gw3xbq5fdnr4ja', NULL, 'f02bde6b7ebd4f60ad320c6670ea411f');
INSERT INTO openmem.audit_log (id, at, bucket, user_id, app, action, memory_id, scope, request_id) OVERRIDING SYSTEM VALUE
VALUES ('7', '2026-11-28 15:04:06.578701+00', '586', 'noor', NULL, 'add', 'mem_6b24gw5095pdb2pjja', NULL, 'request-of-once');
INSERT INTO openmem.audit_log (id, at, bucket, user_id, app, action, memory_id, scope, request_id) OVERRIDING SYSTEM VALUE
VALUES ('8', '2026-11-28 15:04:06.581276+00', '586', 'noor', 'diary', 'add', 'mem_6b24gw5kn9bqfm48ja', NULL, 'acb1ea2134a94f448608da9e2c7170b2');
INSERT INTO openmem.audit_log (id, at, bucket, user_id, app, action, memory_id, scope, request_id) OVERRIDING SYSTEM VALUE
VALUES ('9', '2026-11-28 15:04:06.582442+00', '586', 'noor', 'diary', 'delete', 'mem_6b24gw5kn9bqfm48ja', NULL, '3dcf7f1f6b754e23bc3b0d484feb9d39');
INSERT INTO openmem.idempotency_keys (bucket, user_id, key, fingerprint, memory_id, at)
VALUES ('586', 'noor', '200651a8b2d5912f692db89468a7d47d86a3ed6844f48f1b15f2be1d9c9a7e5e', 'f21cf2361f5573662490cb403f6c0b42a545ec62e842ca7960dbb69b3dfd4799', 'mem_6b24gw5095pdb2pjja', '2026-11-28 15:04:06.568781+00');
ALTER TABLE openmem.audit_log ALTER COLUMN id RESTART WITH 13;
