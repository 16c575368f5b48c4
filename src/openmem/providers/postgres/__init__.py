"""The reference backend: PostgreSQL with pgvector, one statement per verb."""
