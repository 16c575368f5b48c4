"""The ranking of `search` and `context`: two statements, and which users need which.

``search_exact.sql`` scores all memories of a user. For a large user, with more than about `EXACT_SCAN_LIMIT`, it only
says that, and ``search_indexed.sql`` is sent, which reads some of them. Both give the same scores, but for the
frequencies of lexemes, which the second estimates from a sample.

A query of more than `MAX_QUERY_LEXEMES` lexemes has more than a mask has bits for. ``search_exact_long.sql`` and
``search_indexed_long.sql`` are the same statements with further steps: they count in how many memories each lexeme is,
and choose those that matter. Parts whose names end in ``_of_long_query`` take the places of others.

`openmem.ranking` has the formula, `docs/retrieval.md` the measurements, and `docs/sql` the statements as they are sent.
The terms:

* lexeme: a word of a memory by its stem, as `openmem.analysis` finds it. Those of the date that a memory is from are
  lexemes of it, too. Its id is a hash.
* word: of a query, one or more lexemes, its alternatives. A memory has the word if it has any of them.
* terms: the lexemes of a memory as a sparse vector of ones, and two entries more: for its speaker, and for being a
  question.
* similarity: the cosine of the vectors of a memory and of the query, at least 0.
* term_mask: the lexemes of the query that a memory has, as bits. flag: the bits of a word.
* coverage: the share of the query's words that a memory has, each with its weight.
* weight: of a word, how rare it is among the user's memories (inverse document frequency), and how much it counts.
* own_score: what a memory scores by its similarity and coverage.
* seed: one of the memories with the best scores of their own.
* neighbor: a memory that was added just before or after a seed and is from less than an hour before or after it.
* boost: what a neighbor gets because of its seed. ceiling: up to which score.
* cutoff: the score that a memory needs at least to be in the result.
* stored at once: two memories of nearly the same moment, of which only their order says that they belong together.
* ordinal: the position of a memory among those of its user, in the order in which they were added. It may have gaps.
* bucket: the part of all users that a user belongs to (see `openmem._ids`).
"""
