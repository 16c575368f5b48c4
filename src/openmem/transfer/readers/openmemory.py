"""The backup of OpenMemory: a ZIP archive with ``memories.json`` and ``memories.jsonl.gz``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ...errors import InvalidRequestError
from ..formats import Options, Reader
from ..records import Item, Loss, Place, Problem
from ..sources import Archive, Source, document_of
from .fields import Fields, imported_from, names_of, record, time_of
from .rows import rows_of_stream

_FORMAT: Final = "openmemory"
_TABLES: Final = "memories.json"
_LINES: Final = "memories.jsonl.gz"
_STATES: Final = {"deleted": "deleted_at", "archived": "archived_at", "paused": "paused_at"}
"""The states in which OpenMemory does not recall a memory, and when that began."""

Row = dict[str, Any]


def read(source: Source, options: Options) -> Iterator[Item]:
    """The memories of the archive."""
    with source.archive() as archive:
        tables = _find(archive, _TABLES)
        if tables is not None:
            yield from _from_tables(archive, tables)
            return
        lines = _find(archive, _LINES)
        if lines is None:
            raise InvalidRequestError(f"{source.name}: has neither {_TABLES} nor {_LINES}: is no backup of OpenMemory")
        with archive.open(lines) as packed, Source(None, packed, lines).open() as stream:
            for row in rows_of_stream(stream, lines, (), lines):
                yield row if isinstance(row, Problem) else memory(*row, user_id=None)


def memory(
    place: Place,
    row: Row,
    *,
    user_id: str | None,
    apps: Mapping[str, Row] | None = None,
    categories: Mapping[str, Row] | None = None,
    history: list[Row] | None = None,
    access: list[Row] | None = None,
) -> Item:
    """The record of one memory, with the rows of other tables that are about it."""
    fields = Fields(row)
    fields.drop("user_id")
    source_id = fields.name("id")
    app = (apps or {}).get(str(row.get("app_id")))
    if app is not None:
        fields.left["app"] = app
        fields.drop("app_id")
    ids = row.get("category_ids")
    named = [(categories or {}).get(str(id)) for id in ids] if isinstance(ids, list) else []
    tags = names_of(category.get("name") for category in named if category is not None)
    if named and None not in named:
        fields.drop("category_ids")
        fields.left["categories"] = named
    tags = tags or fields.tags("categories")
    fields.left |= {"status_history": history} if history else {}
    fields.left |= {"access_controls": access} if access else {}
    state = fields.left.get("state")
    ended = None
    if isinstance(state, str) and state in _STATES:
        since = [time_of(change.get("changed_at")) for change in history or () if change.get("new_state") == state]
        own = fields.time(_STATES[state])
        ended = own or max((moment for moment in since if moment is not None), default=None)
        ended = ended or time_of(row.get("updated_at")) or time_of(row.get("created_at"))
    name = app.get("name") if app is not None else row.get("app")
    return record(
        _FORMAT,
        fields,
        place,
        fields.text("content"),
        source_id=source_id,
        user_id=user_id,
        tags=tags,
        metadata=fields.metadata(),
        source=imported_from(name, source_id),
        created_at=fields.time("created_at"),
        updated_at=fields.time("updated_at"),
        valid_to=ended,
    )


def _from_tables(archive: Archive, part: str) -> Iterator[Item]:
    with archive.open(part) as stream:
        tables = document_of(stream, part)
    if not isinstance(tables, dict):
        raise InvalidRequestError(f"{part}: is no JSON object")
    user = tables.get("user")
    user_id = user.get("user_id") if isinstance(user, dict) else None
    apps, categories = _by_id(tables.get("apps")), _by_id(tables.get("categories"))
    history = _grouped(tables.get("status_history"), "memory_id")
    access = _grouped(tables.get("access_controls"), "object_id")
    memories = tables.get("memories")
    if not isinstance(memories, list):
        raise InvalidRequestError(f"{part}: has no array 'memories'")
    if isinstance(user, dict) and len(user) > 1:
        yield Loss(f"{_FORMAT}.user", "the user's name, address and metadata are of no memory", Place(part=part))
    for number, row in enumerate(memories, 1):
        place = Place(item=number, part=part)
        if not isinstance(row, dict):
            yield Problem("is no JSON object", place)
            continue
        id = str(row.get("id"))
        yield memory(
            place,
            row,
            user_id=user_id if isinstance(user_id, str) else None,
            apps=apps,
            categories=categories,
            history=history.pop(id, None),
            access=access.pop(id, None),
        )
    for name, rest in (("status_history", history), ("access_controls", access)):
        if rest:
            yield Loss(f"{_FORMAT}.{name}", "rows about no memory of this backup", Place(part=part))


def _find(archive: Archive, name: str) -> str | None:
    return next((path for path in archive.names if path.rsplit("/", 1)[-1] == name), None)


def _by_id(rows: object) -> dict[str, Row]:
    found = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return {row["id"]: row for row in found if isinstance(row.get("id"), str)}


def _grouped(rows: object, name: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict):
            groups.setdefault(str(row.get(name)), []).append(row)
    return groups


READER: Final = Reader(_FORMAT, "the backup of OpenMemory, a ZIP archive", read)
