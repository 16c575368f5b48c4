"""From items of LangGraph to memories, and back.

The value is the metadata of the memory, by which `search` filters, and its text the content, which is searched. A value
that is too large for metadata is kept as an extension, and filtered by those of its fields that fit.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from langgraph.store.base import Item, PutOp, SearchItem, get_text_at_path

from ...errors import InvalidRequestError
from ...models import MemoryRecord
from ...operations.fields import MAX_METADATA_BYTES, check_json
from ..segments import decoded
from .names import namespace_of

EXTENSION: Final = "x-langgraph"

MAX_TEXT_CHARACTERS: Final = 65_536
"""Of the text of an item that is searched; the rest of a longer one is kept, and not found."""

WHOLE_VALUE: Final = "$"


def record_fields(op: PutOp, fields: Sequence[str], now: datetime) -> dict[str, Any]:
    """The content, metadata, expiry and extension of the memory for an item.

    Args:
        op: what is put; its value is not None.
        fields: paths of the texts to search where the operation names none.
        now: from when on the item's time to live counts.

    Raises:
        InvalidRequestError: the value is no JSON, or the time to live is no number.
    """
    try:
        value = check_json(dict(op.value or {}))
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"value: {error}") from None
    text = _text(value, fields if op.index is None else op.index)[:MAX_TEXT_CHARACTERS]
    metadata, extension = _filterable(value), {}
    if metadata is not value:
        extension["value"] = value
    made: dict[str, Any] = {"content": text, "metadata": metadata, "indexed": bool(text.strip())}
    if op.ttl is not None:
        made["expires_at"] = expiry(op.ttl, now)
        extension |= {"ttl": op.ttl, "put_at": now.isoformat()}
    if extension:
        made["extensions"] = {EXTENSION: extension}
    return made


def expiry(minutes: float, now: datetime) -> datetime:
    """When an item expires that is used now.

    Raises:
        InvalidRequestError: `minutes` is no number, or too large a one.
    """
    try:
        return now + timedelta(minutes=minutes)
    except (TypeError, ValueError, OverflowError):
        raise InvalidRequestError(f"ttl: {minutes!r} is not a number of minutes") from None


def time_to_live(record: MemoryRecord) -> float | None:
    """The minutes that an item lives after its last use; None for good."""
    found: float | None = _extension(record).get("ttl")
    return found


def item_of(record: MemoryRecord, root: str) -> Item:
    """The item that a memory holds."""
    return Item(**_item_fields(record, root))


def search_item_of(record: MemoryRecord, root: str, score: float | None) -> SearchItem:
    """The item that a memory holds, with its score."""
    return SearchItem(**_item_fields(record, root), score=score)


def updated_at(record: MemoryRecord) -> datetime:
    """When an item was last put; what its use did to its expiry does not count."""
    put_at = _extension(record).get("put_at")
    return datetime.fromisoformat(put_at) if put_at else record.updated_at or record.created_at


def _item_fields(record: MemoryRecord, root: str) -> dict[str, Any]:
    return {
        "value": _extension(record).get("value") or record.metadata or {},
        "key": decoded(record.key or record.id),
        "namespace": namespace_of(root, record.scope or root),
        "created_at": record.created_at,
        "updated_at": updated_at(record),
    }


def _extension(record: MemoryRecord) -> dict[str, Any]:
    found = record.extensions.get(EXTENSION)
    return found if isinstance(found, dict) else {}


def _filterable(value: dict[str, Any]) -> dict[str, Any]:
    """The value, or as many of its fields as metadata can have, the small ones first."""
    if _size(value) <= MAX_METADATA_BYTES:
        return value
    fitting: dict[str, Any] = {}
    left = MAX_METADATA_BYTES - 2
    for size, name in sorted((_size({name: part}) - 1, name) for name, part in value.items()):
        left -= size
        if left < 0:
            break
        fitting[name] = value[name]
    return fitting


def _size(value: dict[str, Any]) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _text(value: dict[str, Any], fields: Sequence[str] | Literal[False]) -> str:
    """What is searched: the texts at these paths, in their order."""
    texts = [
        text
        for path in fields or ()
        for text in ([described(value)] if path == WHOLE_VALUE else get_text_at_path(value, path))
    ]
    return "\n".join(filter(None, texts))


def described(value: Any) -> str:
    """All texts in a value: each beside its name, but for one that stands alone."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case dict():
            parts = {name: described(part) for name, part in value.items()}
            if len(parts) == 1:
                return next(iter(parts.values()))
            return "\n".join(f"{name}: {part}" for name, part in parts.items() if part)
        case list():
            return "\n".join(filter(None, map(described, value)))
    return str(value)


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)
