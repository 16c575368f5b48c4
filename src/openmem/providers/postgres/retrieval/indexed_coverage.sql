CASE WHEN found < {question_offset} THEN found ELSE found - {question_offset} END
    + (SELECT CASE WHEN lexemes > 0 THEN 0 END FROM query)
