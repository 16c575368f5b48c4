"""One memory."""

from __future__ import annotations

from ..page import Page

PAGES: tuple[Page, ...] = ()
