-- Store a memory under a key, in place of the one that has it. One row: what forbids it (unknown, already_ended, whether
-- the memory would supersede itself), the version of the memory that has the key where that matters, when that was
-- created where the words were read for another time, and the record; the columns of the record are NULL if nothing was
-- stored.
SELECT * FROM {schema}.put_memory(
    {new_memory},
    :supersede_ended::boolean, :granted_paths::text[], :granted_prefixes::text[], :readable_paths::text[],
    :readable_prefixes::text[], :if_version::int, :keep_history::boolean, :action::text, :read_from::timestamptz,
    :read_until::timestamptz
)
