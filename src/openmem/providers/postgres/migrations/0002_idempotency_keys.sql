CREATE TABLE {schema}.idempotency_keys (
    bucket smallint NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    fingerprint text NOT NULL,
    memory_id text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (user_id, key, bucket)
);
CREATE INDEX idempotency_keys_oldest ON {schema}.idempotency_keys (bucket, at);
