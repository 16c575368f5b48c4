-- The coverage, also of a memory that has several alternatives of a word.
CASE WHEN coverage IS NULL OR NOT (SELECT has_alternatives FROM query) THEN coverage ELSE
    {coverage_of(term_mask)}
END
