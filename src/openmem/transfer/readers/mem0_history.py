"""The rows of mem0's history: each version of a memory's text, and when it was replaced or deleted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from ..records import Item, Place, Problem
from .fields import Fields, record, time_of

MAX_ROWS: Final = 1_000_000
"""Rows that are kept in memory, since those of one memory can be anywhere in the file."""
_FIRST: Final = datetime.min.replace(tzinfo=UTC)


class History:
    """Collects rows, and makes a record of each version: valid until the next one, which supersedes it."""

    def __init__(self, format: str) -> None:
        self._format = format
        self._rows: dict[str, list[tuple[Place, dict[str, Any]]]] = {}
        self._count = 0
        self._problems: list[Problem] = []

    def add(self, place: Place, row: dict[str, Any]) -> None:
        """Take in a row."""
        self._count += 1
        memory = row["memory_id"]
        if not isinstance(memory, str) or self._count > MAX_ROWS:
            reason = "names no memory" if self._count <= MAX_ROWS else f"comes after {MAX_ROWS} rows of history"
            self._problems.append(Problem(reason, place, field="memory_id"))
            return
        self._rows.setdefault(memory, []).append((place, row))

    def items(self) -> Iterator[Item]:
        """The records of all rows."""
        yield from self._problems
        for memory, rows in self._rows.items():
            yield from self._versions(memory, sorted(rows, key=lambda row: _when(row[1]) or _FIRST))

    def _versions(self, memory: str, rows: list[tuple[Place, dict[str, Any]]]) -> Iterator[Item]:
        created: str | None = None
        seen: set[str] = set()
        for number, (place, row) in enumerate(rows):
            following = next((later for _, later in rows[number + 1 :] if _ends(later, row)), None)
            is_change = row.get("event") in ("ADD", "UPDATE") and row.get("new_memory") != row.get("old_memory")
            version = f"{memory}@{row.get('id', number)}"
            if not is_change or version in seen:
                continue
            seen.add(version)
            fields = Fields(row)
            content = fields.text("new_memory")
            fields.drop("old_memory")
            user = fields.name("user_id")
            began = _when(row)
            yield record(
                self._format,
                fields,
                place,
                content,
                source_id=version,
                user_id=user,
                created_at=began,
                valid_from=began,
                valid_to=None if following is None else _when(following),
                supersedes=None if created is None else [created],
                metadata=fields.metadata(),
                tags=fields.tags("categories"),
            )
            created = version


def _ends(later: dict[str, Any], row: dict[str, Any]) -> bool:
    return later.get("event") == "DELETE" or later.get("new_memory") != row.get("new_memory")


def _when(row: dict[str, Any]) -> datetime | None:
    """When the event was: mem0 repeats in ``created_at`` when the memory was created."""
    return time_of(row.get("updated_at")) or time_of(row.get("created_at"))
