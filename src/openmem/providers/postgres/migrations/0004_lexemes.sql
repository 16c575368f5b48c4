DROP INDEX {concurrently} IF EXISTS {schema}.memories_lexemes;
CREATE INDEX {concurrently} memories_lexemes ON {schema}.memories
    USING gin ({schema}.lexeme_keys(user_id, terms))
    WITH (fastupdate = off) WHERE ordinal > 1000;
DROP INDEX {concurrently} IF EXISTS {schema}.memories_words;
DROP INDEX {concurrently} IF EXISTS {schema}.memories_word_keys_idx;
