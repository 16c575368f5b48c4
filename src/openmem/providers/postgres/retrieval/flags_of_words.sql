ARRAY(SELECT word FROM scored_lexeme{that_count} GROUP BY word ORDER BY word) AS words,
ARRAY(
    SELECT coalesce(bit_or(1::bigint << bit) FILTER (WHERE bit < {no_bit}), 0)
    FROM scored_lexeme{that_count} GROUP BY word ORDER BY word
) AS flags_of_words
