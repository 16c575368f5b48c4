"""Memories in this process, with nothing to install: for the tests of applications."""

from __future__ import annotations

from .store import MemoryStore

__all__ = ["MemoryStore"]
