"""LangGraph's store on openmem: keys, filters, namespaces, expiry and ranked search, in both modes by one object."""

from __future__ import annotations

from ..._extras import require_extra

require_extra("OpenmemStore", "langgraph", ("langgraph",))

from .store import OpenmemStore  # noqa: E402 - after the check of what it needs

__all__ = ["OpenmemStore"]
