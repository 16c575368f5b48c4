-- Store a memory that supersedes none. One row: when it was created.
SELECT {schema}.add_memory(
    {new_memory}
)
