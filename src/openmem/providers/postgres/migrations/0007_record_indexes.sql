DROP INDEX {concurrently} IF EXISTS {schema}.memories_keys;
CREATE UNIQUE INDEX {concurrently} memories_keys ON {schema}.memories (user_id, key, scope, bucket)
    NULLS NOT DISTINCT WHERE key IS NOT NULL;
DROP INDEX {concurrently} IF EXISTS {schema}.memories_expiring;
CREATE INDEX {concurrently} memories_expiring ON {schema}.memories (expires_at) WHERE expires_at IS NOT NULL;
DROP INDEX {concurrently} IF EXISTS {schema}.memories_superseding;
CREATE INDEX {concurrently} memories_superseding ON {schema}.memories USING gin (supersedes)
    WITH (fastupdate = off) WHERE supersedes IS NOT NULL;
