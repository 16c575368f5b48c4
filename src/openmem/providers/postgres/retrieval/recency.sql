-- The share of its score that a memory keeps for its age. The exponent is bounded, since power() fails where a result is
-- too small.
CASE WHEN :recency::float8 IS NULL THEN 1 ELSE
    1 - {recency_share} * (1 - power(0.5::float8, least(
        greatest(extract(epoch FROM now())::float8 - extract(epoch FROM moment)::float8, 0) / :recency::float8,
        {oldest_half_lives}
    )))
END
