-- NULL without lexemes of the query or without terms of the memory. least() ignores NULL.
CASE WHEN found IS NOT NULL AND (SELECT has_words FROM query) THEN
    least(CASE WHEN found < {question_offset} THEN found ELSE found - {question_offset} END, 1)
END
