"""The verbs over memories in this process, with the behaviour of PostgreSQL."""

from __future__ import annotations

from .reads import Reads
from .upkeep import Upkeep
from .writes import Writes


class MemoryProvider(Reads, Writes, Upkeep):
    """All verbs; see `StoreProvider` for where the memories are."""
