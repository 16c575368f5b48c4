"""How memories are ranked for a query, without a database."""
