-- The inverse document frequency of what memories of total have. The bit of the speaker counts more, and
-- nothing if no memory has a speaker whom the query names.
CASE WHEN bit <> {speaker_bit} THEN 1 WHEN memories > 0 THEN {speaker_weight}::float8 ELSE 0 END
    * ln(1 + (1 + total) / (1 + memories))
