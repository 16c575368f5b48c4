,
-- What the score of a memory comes from, as `openmem.ranking.evidence` reads it.
ranked.seed_id,
{distance} AS distance,
{term_mask} AS term_mask,
(SELECT {recency} FROM (SELECT coalesce(m.valid_from, m.created_at) AS moment) dated) AS recency_factor,
(SELECT reach FROM query) AS reach,
ARRAY(SELECT flag FROM bit_weight ORDER BY flag) AS flags,
ARRAY(SELECT weight::float8 FROM bit_weight ORDER BY flag) AS weights,
-- Of a long query, the words that count and the bits of each.
{flags_of_words}
