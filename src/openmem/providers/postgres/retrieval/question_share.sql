CASE WHEN term_mask & {question_flag} <> 0 THEN {question_factor}::float8 ELSE 1 END
