-- Memories that were changed, for the order of changes. Those that never were are in the order of `memories_newest`, and
-- adding them costs this index nothing.
DROP INDEX {concurrently} IF EXISTS {schema}.memories_changed;
CREATE INDEX {concurrently} memories_changed ON {schema}.memories (user_id, updated_at, id)
    WHERE updated_at IS NOT NULL;
