-- Made by tools/sql.py; what is changed here is lost.
\set id '''mem_6b1g000000000000n5'''
\set bucket 677
\set user_id '''maya'''
\set earlier ''''''
\set later ''''''
\set content '''I moved to Porto'''
\set scope NULL
\set tags 'ARRAY[''home'']'
\set source '''{"app": "demo"}'''
\set confidence NULL
\set valid_from NULL
\set valid_to NULL
\set supersedes NULL
\set embedding_model '''hashing:256'''
\set embedding 'array_fill(0.1::real, ARRAY[256])'
\set terms '''{133238249:1,167142662:1}/536870912'''
\set analysis 1
\set utc_offset NULL
\set extensions NULL
\set metadata NULL
\set key NULL
\set expires_at NULL
\set indexed true
\set app NULL
\set request_id '''a request'''

BEGIN;

-- Store a memory that supersedes none. One row: its record.
WITH
-- One row: the memory as it is stored.
added AS (
    INSERT INTO openmem.memories AS m (
        id, bucket, user_id, ordinal, created_at, content, scope, tags, source, confidence,
        valid_from, valid_to, supersedes, embedding_model, embedding, terms, analysis, utc_offset, extensions,
        metadata, key, version, expires_at, indexed
    )
    SELECT :id::text, :bucket::smallint, :user_id::text,
        -- One more than the user's newest memory has, but for :later memories that are stored already, and as many more as
        -- there are :earlier ones that are yet to be stored before this one, both told by ids with commas between them. Not
        -- max(ordinal): a planner that expects few memories of a user reads them all.
        coalesce((
            SELECT newest.ordinal + (
                SELECT count(*) FROM unnest(string_to_array(:earlier::text, ',')) AS earlier WHERE earlier > newest.id
            )
            FROM openmem.memories newest
            WHERE newest.bucket = :bucket::smallint AND newest.user_id = :user_id::text
                AND strpos(:later::text, newest.id) = 0
            ORDER BY newest.ordinal DESC LIMIT 1
        ), cardinality(string_to_array(:earlier::text, ','))) + 1,
        now(), :content::text, :scope::text, :tags::text[], :source::json, :confidence::float8,
        :valid_from::timestamptz, :valid_to::timestamptz, :supersedes::text[],
        :embedding_model::text, :embedding::public.halfvec, :terms::text::public.sparsevec,
        :analysis::int, :utc_offset::int, :extensions::json,
        :metadata::text::jsonb, :key::text, 1, :expires_at::timestamptz, :indexed::boolean
    RETURNING
        m.id, m.content, m.user_id, m.created_at, m.scope, m.tags, m.source::text, m.confidence,
        m.valid_from, m.valid_to, m.supersedes, m.embedding_model, m.updated_at, m.metadata::text, m.key,
        m.version, m.expires_at, m.indexed, m.extensions::text
),
-- One row.
audit_entry AS (
    SELECT :bucket::smallint AS bucket, added.user_id, coalesce(:app::text, added.source::json ->> 'app') AS app,
        'add' AS action, added.id AS memory_id, added.scope
    FROM added
),
-- The entries in the audit log, one row per row of audit_entry, in the transaction of what they tell of.
audit AS (
    INSERT INTO openmem.audit_log (bucket, user_id, app, action, memory_id, scope, request_id)
    SELECT e.bucket, e.user_id, e.app, e.action, e.memory_id, e.scope, :request_id::text FROM audit_entry e
)
SELECT * FROM added;

ROLLBACK;
