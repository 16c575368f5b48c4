"""Words of texts and of queries: what the ranking compares, without a database.

`terms` has the values. `analyzer` makes them of words (`words`), dates (`dates`), speakers and questions (`speech`).
Words are what is left of tokens (`tokens`), by the scripts of their characters (`characters`), the languages that the
text may be in (`languages`), their function words (`stop_words`) and stems (`stems`).
"""

from __future__ import annotations

from typing import Final

from .languages import KNOWN as LANGUAGES
from .terms import MAX_SPEAKERS, MemoryTerms, QueryWord, SpelledWord

VERSION: Final = 2
"""Of the words that an analysis finds in a memory. Whoever changes them adds one, and `Memory.reindex` follows."""

__all__ = ["LANGUAGES", "MAX_SPEAKERS", "VERSION", "MemoryTerms", "QueryWord", "SpelledWord"]
