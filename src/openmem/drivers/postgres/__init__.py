"""PostgreSQL in both modes: how a URL becomes a connection, the pool, and the two drivers."""
