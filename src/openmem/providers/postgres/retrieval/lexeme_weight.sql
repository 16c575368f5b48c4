-- The inverse document frequency of what memories of total have. The speaker counts nothing if no memory has one
-- whom the query names.
CASE WHEN flag = {speaker_flag} AND memories = 0 THEN 0 ELSE factor END * ln(1 + (1 + total) / (1 + memories))
