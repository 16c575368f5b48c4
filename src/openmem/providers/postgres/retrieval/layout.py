"""How the SQL computes the ranking: bits of masks, and what is read of a user with many memories. Pure.

The constants of what it computes are in `openmem.ranking.constants`. The SQL includes all of them by their names in
lower case.
"""

from __future__ import annotations

from typing import Final

from ....ranking.constants import EXACT_SCAN_LIMIT, SEEDS

LEXEME_IDS: Final = 2**29
"""Lexemes have ids from 1 to this: the length of the sparse vectors. The migrations have the same number."""

MASK_BITS: Final = 24
"""Bits that one inner product gives, which is computed in single precision."""

MASK_CHUNKS: Final = 3
"""How many inner products a mask takes at most. It is a bigint."""

QUESTION_BIT: Final = 0
"""The bit of a memory that ends in a question mark."""

SPEAKER_BIT: Final = 1
"""The first bit of a memory whose speaker the query names."""

SPEAKER_BITS: Final = 2
"""Bits that count the names of a memory's speaker: up to `openmem.analysis.MAX_SPEAKERS`."""

QUESTION_FLAG: Final = 1 << QUESTION_BIT
"""The mask of a memory of which only that bit is set."""

SPEAKER_FLAG: Final = (1 << SPEAKER_BITS) - 1 << SPEAKER_BIT
"""The bits of the speaker in a mask."""

FIRST_LEXEME_BIT: Final = SPEAKER_BIT + SPEAKER_BITS
"""The first bit of a lexeme of the query."""

NO_BIT: Final = 63
"""Stands for the lexemes of a long query that have no bit of their own. The bits of a mask, a bigint, end before it."""

QUESTION_OFFSET: Final = 4
"""What a question adds to the coverage of a memory in the inner product that gives both.

The coverage is 1 at most, unless a memory has several alternatives of one word."""

COMMON_MASK_MEMORIES: Final = 100
"""Of the memories with a mask that more than this have, only those near the query are scored.

To find them, what was read of all memories is read once more, which takes less time than to score as many."""

INDEX_MIN_MEMORIES: Final = EXACT_SCAN_LIMIT
"""Of a user with no more memories than this all are read, though the last one has a greater ordinal."""

SAMPLE_STRATA: Final = 16
"""Into how many parts of equal length a user's ordinals are divided for a sample."""

STRATUM_ROWS: Final = 24
"""How many memories of each part are in the sample, at most."""

RARE_ROWS: Final = 300
"""How many memories the index is to find by single lexemes, about."""

PAIRED_LEXEMES: Final = 3
"""Of how many lexemes behind the rarest the index looks for pairs."""

PAIR_ROWS: Final = 300
"""How many memories a pair of lexemes may have for the index to look for it, about."""

MIN_INDEX_CANDIDATES: Final = SEEDS
"""If the index finds fewer memories than this, all memories of the user are read."""
