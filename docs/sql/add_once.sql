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
\set supersedes 'ARRAY[''mem_6b1f000000000000n5'']'
\set embedding_model '''hashing:256'''
\set embedding 'array_fill(0.1::real, ARRAY[256])'
\set terms '''{133238249:1,167142662:1}/536870912'''
\set analysis 2
\set utc_offset NULL
\set extensions NULL
\set metadata NULL
\set key NULL
\set expires_at NULL
\set indexed true
\set app NULL
\set request_id '''a request'''
\set supersede_ended false
\set granted_paths NULL
\set granted_prefixes NULL
\set readable_paths NULL
\set readable_prefixes NULL
\set idempotency_key '''a digest of the idempotency key'''
\set fingerprint '''a digest of what is added'''

BEGIN;

-- Store a memory, and close the validity of those that it supersedes; with an idempotency key, unless one was stored
-- under the same key within the lifetime of keys. One row: what forbids it (unknown, already_ended); the id and the
-- fingerprint that the key stands for; when it was created, NULL if it was not stored now; those of the superseded ids
-- that the caller may read.
SELECT * FROM openmem.add_memory_once(
    :id::text, :bucket::smallint, :user_id::text, :earlier::text, :later::text, :content::text, :scope::text,
    :tags::text[], :source::json, :confidence::float8, :valid_from::timestamptz, :valid_to::timestamptz,
    :supersedes::text[], :embedding_model::text, :embedding::public.halfvec, :terms::text, :analysis::int,
    :utc_offset::int, :extensions::json, :metadata::text, :key::text, :expires_at::timestamptz, :indexed::boolean,
    :app::text, :request_id::text, true,
    :supersede_ended::boolean, :granted_paths::text[], :granted_prefixes::text[], :readable_paths::text[],
    :readable_prefixes::text[], :idempotency_key::text, :fingerprint::text
);

ROLLBACK;
