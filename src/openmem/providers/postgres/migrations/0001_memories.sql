CREATE FUNCTION {schema}.term_number(term text) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (hashtextextended(term, 0) & (536870912 - 1)) + 1;

CREATE FUNCTION {schema}.words(content text, at timestamptz) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN tsvector_to_array(to_tsvector('pg_catalog.english', content)) || ARRAY[
        extract(day FROM at AT TIME ZONE 'UTC')::text,
        (ARRAY['januari', 'februari', 'march', 'april', 'may', 'june', 'juli', 'august', 'septemb', 'octob',
            'novemb', 'decemb'])[extract(month FROM at AT TIME ZONE 'UTC')::int],
        extract(year FROM at AT TIME ZONE 'UTC')::text
    ];

CREATE FUNCTION {schema}.terms(content text, at timestamptz) RETURNS {vector}.sparsevec
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $body$
    BEGIN
        RETURN ('{' || array_to_string(ARRAY(
            SELECT DISTINCT {schema}.term_number(term)
            FROM unnest({schema}.words(content, at) || ARRAY[
                CASE WHEN content ~ '\?\s*$' THEN '?' END,
                CASE WHEN content ~ '^\s*\w+\s*:\s' THEN
                    (tsvector_to_array(to_tsvector('pg_catalog.english', split_part(content, ':', 1))))[1] || ':'
                END
            ]) term
            WHERE term IS NOT NULL LIMIT 16000
        ), ':1,') || ':1}/536870912')::{vector}.sparsevec;
    END $body$;

CREATE FUNCTION {schema}.word_key(user_id text, term_number bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN hashint8extended(term_number, hashtextextended(user_id, 0));

CREATE FUNCTION {schema}.word_keys(user_id text, content text, at timestamptz) RETURNS bigint[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $body$
    BEGIN
        RETURN ARRAY(
            SELECT {schema}.word_key(user_id, {schema}.term_number(word))
            FROM unnest({schema}.words(content, at)) word
        );
    END $body$;

CREATE TABLE {schema}.memories (
    id text COLLATE "C" PRIMARY KEY,
    user_id text COLLATE "C" NOT NULL,
    bucket smallint NOT NULL,
    ordinal int NOT NULL,
    created_at timestamptz NOT NULL,
    valid_from timestamptz,
    valid_to timestamptz,
    scope text COLLATE "C",
    embedding_model text COLLATE "C",
    embedding {vector}.halfvec,
    terms {vector}.sparsevec NOT NULL
        GENERATED ALWAYS AS ({schema}.terms(content, coalesce(valid_from, created_at))) STORED,
    updated_at timestamptz,
    confidence float8,
    tags text[],
    content text NOT NULL,
    source json,
    supersedes text[],
    extensions json
);
ALTER TABLE {schema}.memories ALTER COLUMN embedding SET STORAGE MAIN;
CREATE INDEX memories_newest ON {schema}.memories (user_id, created_at, id);
CREATE INDEX memories_in_order ON {schema}.memories (user_id, ordinal) INCLUDE (bucket);
CREATE INDEX memories_words ON {schema}.memories
    USING gin ({schema}.word_keys(user_id, content, coalesce(valid_from, created_at)))
    WITH (fastupdate = off) WHERE ordinal > 1000;
CREATE STATISTICS {schema}.memories_of_users (dependencies) ON user_id, bucket FROM {schema}.memories;

CREATE TABLE {schema}.audit_log (
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
CREATE INDEX audit_log_newest ON {schema}.audit_log (user_id, at);
CREATE STATISTICS {schema}.audit_log_of_users (dependencies) ON user_id, bucket FROM {schema}.audit_log;
