"""What somebody may have meant who wrote a name that does not exist."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MIN_SIMILARITY = 0.86


def closest(name: str, known: Iterable[str], min_similarity: float = MIN_SIMILARITY) -> str | None:
    """The name in `known` of which `name` looks like a misspelling, or None.

    Case, underscores and hyphens make no difference, so that ``userId`` is close to ``user_id``.
    """
    spellings = {_plain(other): other for other in known}
    found = get_close_matches(_plain(name[:80]), spellings, n=1, cutoff=min_similarity)
    return spellings[found[0]] if found else None


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
