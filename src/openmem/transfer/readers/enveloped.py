"""Memories that openmem itself keeps in mem0, Supermemory or Letta, with all their fields in the metadata."""

from __future__ import annotations

import json
from typing import Any

from ...providers.vendors.envelope import ENVELOPE, FILTERABLE_PREFIX
from ..records import RECORD_FIELDS
from .fields import time_of

_TIMES = ("created_at", "updated_at", "valid_from", "valid_to", "expires_at")


def open_envelope(metadata: object) -> tuple[dict[str, Any], str] | None:
    """The fields that openmem kept in these metadata, and whose memory it is; None if another tool wrote them."""
    envelope = metadata.get(ENVELOPE) if isinstance(metadata, dict) else None
    if not isinstance(envelope, str):
        return None
    try:
        kept = json.loads(envelope)
    except (ValueError, RecursionError):
        return None
    if not isinstance(kept, dict) or not isinstance(kept.get("user_id"), str):
        return None
    fields = {
        name: value
        for name, value in kept.items()
        if value is not None and (name in RECORD_FIELDS or name.startswith("x-")) and name != "content"
    }
    if any(time_of(fields.get(name, 0)) is None for name in _TIMES):
        return None
    return {name: time_of(value) if name in _TIMES else value for name, value in fields.items()}, kept["user_id"]


def without_envelope(metadata: dict[str, Any]) -> dict[str, Any]:
    """The metadata that are not openmem's."""
    return {
        name: value for name, value in metadata.items() if name != ENVELOPE and not name.startswith(FILTERABLE_PREFIX)
    }
