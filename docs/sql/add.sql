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
\set analysis 2
\set utc_offset NULL
\set extensions NULL
\set metadata NULL
\set key NULL
\set expires_at NULL
\set indexed true
\set app NULL
\set request_id '''a request'''

BEGIN;

-- Store a memory that supersedes none. One row: when it was created.
SELECT openmem.add_memory(
    :id::text, :bucket::smallint, :user_id::text, :earlier::text, :later::text, :content::text, :scope::text,
    :tags::text[], :source::json, :confidence::float8, :valid_from::timestamptz, :valid_to::timestamptz,
    :supersedes::text[], :embedding_model::text, :embedding::public.halfvec, :terms::text, :analysis::int,
    :utc_offset::int, :extensions::json, :metadata::text, :key::text, :expires_at::timestamptz, :indexed::boolean,
    :app::text, :request_id::text, true
);

ROLLBACK;
