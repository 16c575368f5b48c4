-- The coverage, also of a memory that has several alternatives of a word.
CASE WHEN coverage IS NULL OR (SELECT lexemes = words FROM query) THEN coverage ELSE
    {coverage_of(term_mask)}
END
