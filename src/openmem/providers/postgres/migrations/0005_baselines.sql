CREATE TABLE {schema}.baselines (
    embedding_model text COLLATE "C",
    number smallint,
    vector {vector}.halfvec NOT NULL,
    PRIMARY KEY (embedding_model, number)
);
GRANT SELECT ON {schema}.baselines TO PUBLIC;
