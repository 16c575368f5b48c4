"""Memories as rows: from an operation to the values of columns, and from a row to a record. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final

from ...models import MemoryRecord, MemorySource, as_utc, construct_record
from ...operations import Add
from ...ports.postgres import Row
from .sql.parts import RECORD

_TIMES: Final = ("created_at", "valid_from", "valid_to", "updated_at", "expires_at")
_LARGE_FLOAT: Final = 1e16
"""From here on Python writes a float with an exponent, and PostgreSQL gives it back as a whole number."""
_NEW: Final[Mapping[str, object]] = {"updated_at": None, "version": 1}
"""Columns of which the caller of `add` gives no value, but for the time."""


def to_record(row: Row) -> MemoryRecord:
    """The record in a row with the columns of `RECORD`."""
    fields: dict[str, Any] = dict(zip(RECORD, row, strict=True))
    extensions = fields.pop("extensions")
    # psycopg gives other objects for UTC, and asyncpg gives the ends of the calendar without a zone.
    for name in _TIMES:
        time = fields[name]
        if time is not None and time.tzinfo is not UTC:
            fields[name] = as_utc(time)
    if fields["source"] is not None:
        fields["source"] = MemorySource(**json.loads(fields["source"]))
    if fields["metadata"] is not None:
        fields["metadata"] = json.loads(fields["metadata"])
    fields["status"] = "stored"
    return construct_record(fields, {} if extensions is None else json.loads(extensions))


def to_new_record(values: Mapping[str, object], created_at: datetime) -> MemoryRecord:
    """The record of a memory that was stored as it is given.

    Args:
        values: what `values_of` gives, and perhaps more of the columns.
    """
    return to_record([values[column] if column in values else _NEW.get(column, created_at) for column in RECORD])


def values_of(id: str, op: Add, model: str | None) -> dict[str, object]:
    """The columns of a new memory that its caller gives, by name."""
    return {
        "id": id,
        "content": op.content,
        "user_id": op.user_id,
        "scope": op.scope,
        "tags": to_list(op.tags),
        "source": _to_json(op.source.to_wire() if op.source else None),
        "confidence": op.confidence,
        "valid_from": op.valid_from and as_utc(op.valid_from),
        "valid_to": op.valid_to,
        "supersedes": to_list(op.supersedes),
        "embedding_model": model if op.indexed else None,
        "extensions": _to_json(op.extensions),
        "metadata": None if op.metadata is None else metadata_json(op.metadata),
        "key": op.key,
        "expires_at": op.expires_at,
        "indexed": op.indexed,
        "utc_offset": minutes(op.valid_from),
    }


def moment_of(moment: datetime, utc_offset: int | None) -> datetime:
    """When a memory is from, with the offset from UTC that was given.

    Args:
        utc_offset: in minutes; None if there was none.
    """
    return moment if utc_offset is None else moment.astimezone(timezone(timedelta(minutes=utc_offset)))


def minutes(moment: datetime | None) -> int | None:
    """The offset from UTC with which a time was given; None for none."""
    offset = None if moment is None else moment.utcoffset()
    return round(offset / timedelta(minutes=1)) if offset else None


def to_list(values: Iterable[str] | None) -> list[str] | None:
    """The value of an array; None is NULL."""
    return None if values is None else list(values)


def metadata_json(value: Any) -> str:
    """JSON as a value of ``jsonb`` that gives back the same numbers: it keeps decimal places, and no exponents."""
    match value:
        case float() if abs(value) >= _LARGE_FLOAT:
            return f"{Decimal(repr(value)):f}.0"
        case dict():
            members = (f"{_quoted(name)}: {metadata_json(item)}" for name, item in value.items())
            return f"{{{', '.join(members)}}}"
        case list():
            return f"[{', '.join(map(metadata_json, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _to_json(value: Mapping[str, Any] | None) -> str | None:
    return json.dumps(value, ensure_ascii=False) if value else None
