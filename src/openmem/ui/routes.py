"""Which pages there are. Their order is that of the navigation."""

from __future__ import annotations

from typing import Final

from .page import Page
from .pages import add, audit, facets, keys, memories, memory, pictures, search, status, transfer, users

HOME: Final = "users"
"""The page that the browser begins with."""

PAGES: Final[tuple[Page, ...]] = (
    *users.PAGES,
    *memories.PAGES,
    *memory.PAGES,
    *add.PAGES,
    *search.PAGES,
    *facets.PAGES,
    *pictures.PAGES,
    *audit.PAGES,
    *transfer.PAGES,
    *keys.PAGES,
    *status.PAGES,
)
