-- Made by tools/sql.py; what is changed here is lost.
\set id '''mem_6b1f000000000000n5'''
\set bucket 677
\set users NULL
\set changes 'ARRAY[''content'', ''tags'']'
\set was_seen false
\set seen_content NULL
\set seen_indexed NULL
\set seen_valid_from NULL
\set seen_utc_offset NULL
\set content '''I moved to Porto'''
\set embedding_model '''hashing:256'''
\set embedding 'array_fill(0.1::real, ARRAY[256])'
\set terms '''{133238249:1,167142662:1}/536870912'''
\set analysis 2
\set scope NULL
\set tags 'ARRAY[''home'']'
\set confidence NULL
\set valid_from NULL
\set utc_offset NULL
\set valid_to NULL
\set metadata NULL
\set expires_at NULL
\set if_version NULL
\set supersedes '''{}'''
\set supersede_ended false
\set app NULL
\set request_id '''a request'''
\set granted_paths NULL
\set granted_prefixes NULL
\set readable_paths NULL
\set readable_prefixes NULL

BEGIN;

-- Change the fields named in :changes, and close the validity of the memories that this one supersedes from now on. At
-- most one row: what may forbid it (present_scope, present_version, is_as_seen, present_from, present_to, unknown,
-- already_ended), and the record; the columns of the record are NULL if something does.
SELECT * FROM openmem.update_memory(
    :id::text, :bucket::smallint, :users::text[], :changes::text[], :was_seen::boolean, :seen_content::text,
    :seen_indexed::boolean, :seen_valid_from::timestamptz, :seen_utc_offset::int, :content::text,
    :embedding_model::text, :embedding::public.halfvec, :terms::text, :analysis::int, :scope::text, :tags::text[],
    :confidence::float8, :valid_from::timestamptz, :utc_offset::int, :valid_to::timestamptz, :metadata::text,
    :expires_at::timestamptz, :if_version::int, :supersedes::text[], :supersede_ended::boolean, :app::text,
    :request_id::text, true, :granted_paths::text[], :granted_prefixes::text[], :readable_paths::text[],
    :readable_prefixes::text[]
);

ROLLBACK;
