DROP INDEX {concurrently} IF EXISTS {schema}.memories_keys;
CREATE UNIQUE INDEX {concurrently} memories_keys
    ON {schema}.memories (user_id, {schema}.key_digest(key), coalesce({schema}.key_digest(scope), ''), bucket)
    WHERE key IS NOT NULL;
DROP INDEX {concurrently} IF EXISTS {schema}.memories_expiring;
CREATE INDEX {concurrently} memories_expiring ON {schema}.memories (expires_at) WHERE expires_at IS NOT NULL;
DROP INDEX {concurrently} IF EXISTS {schema}.memories_superseding;
CREATE INDEX {concurrently} memories_superseding ON {schema}.memories USING gin (supersedes)
    WITH (fastupdate = off) WHERE supersedes IS NOT NULL;
DROP INDEX {concurrently} IF EXISTS {schema}.memories_conditional;
CREATE INDEX {concurrently} memories_conditional ON {schema}.memories (user_id, bucket)
    WHERE expires_at IS NOT NULL OR NOT indexed;
