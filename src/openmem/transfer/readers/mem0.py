"""mem0: what its library, its server, its platform and its command line give out.

Read are the answers of ``get_all`` and of the platform's list of memories, a page or a line each; the points of a
Qdrant collection; the file of its migration script; files of its command line; and rows of its history.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote

from ...errors import InvalidRequestError
from ..formats import Options, Reader
from ..records import Item, Place, Problem
from ..sources import Source
from .enveloped import open_envelope, without_envelope
from .fields import Fields, earliest, end_of_day, record, scope_of, time_of
from .mem0_history import History
from .rows import rows_of

_FORMAT: Final = "mem0"
_MEMBERS: Final = ("results", "records", "memories", "points", "result.points")
_ENTITIES: Final = {
    "user": ("user_id",),
    "agent": ("agent_id",),
    "app": ("app_id",),
    "run": ("run_id", "session_id"),
}
_COMPUTED: Final = ("text_lemmatized", "score", "score_breakdown", "source_payload")
_PAYLOAD: Final = frozenset(
    {
        "hash", "created_at", "updated_at", "user_id", "agent_id", "app_id", "run_id", "actor_id", "role",
        "text_lemmatized", "attributed_to", "expiration_date",
    }
)  # fmt: skip
"""Keys of a Qdrant payload that are not the application's metadata."""


def read(source: Source, options: Options) -> Iterator[Item]:
    """The memories of the file."""
    entity = options.get("user-from", "user")
    if entity not in _ENTITIES:
        raise InvalidRequestError(f"option 'user-from': give one of {', '.join(_ENTITIES)}")
    history = History(_FORMAT)
    found = seen = 0
    for row in rows_of(source, _MEMBERS):
        seen += 1
        if isinstance(row, Problem):
            yield row
        elif "memory_id" in row[1] and "event" in row[1]:
            history.add(*row)
            found += 1
        else:
            item = memory(*row, entity)
            found += not isinstance(item, Problem) or item.reason != _NO_TEXT
            yield item
    yield from history.items()
    if seen and not found:
        raise InvalidRequestError(
            f"{source.name}: holds no memories of mem0. What POST /v1/exports/ returns cannot be imported: a model "
            "writes it anew to your schema. Save the pages of POST /v3/memories/ instead"
        )


_NO_TEXT: Final = "has no text"


def memory(place: Place, row: dict[str, Any], entity: str = "user") -> Item:
    """The record of one memory.

    Args:
        entity: which of user, agent, app and run the users of openmem are.
    """
    if isinstance(row.get("payload"), dict):
        row = _of_point(row)
    fields = Fields(row)
    payload = fields.left.get("source_payload")
    if isinstance(payload, dict):
        fields.left = _of_point({"id": row.get("id"), "payload": payload}) | fields.left
    source_id = fields.name("id", "memory_id")
    content = fields.text("memory", "text", "content", "data")
    fields.drop(*_COMPUTED)
    metadata = row.get("metadata")
    ours = open_envelope(metadata)
    if ours is not None and isinstance(metadata, dict):
        kept, user = ours
        if user == unquote(str(row.get("user_id", ""))):
            fields.drop("user_id", "created_at", "updated_at", "hash")
            fields.left["metadata"] = without_envelope(metadata)
            if not fields.left["metadata"] or fields.left["metadata"] == kept.get("metadata"):
                fields.drop("metadata")
            return _ours(fields, place, content, source_id, user, kept)
    user_id = fields.name(*_ENTITIES[entity])
    agent, run = (_peek(fields, name) for name in ("agent", "run"))
    scope = scope_of(*(("agents", agent) if agent else ()), *(("runs", run) if run else ()))
    expires = end_of_day(time_of(fields.left.get("expiration_date")))
    return record(
        _FORMAT,
        fields,
        place,
        content,
        source_id=source_id,
        user_id=user_id,
        scope=scope,
        tags=fields.tags("categories"),
        metadata=fields.metadata(),
        created_at=fields.time("created_at"),
        updated_at=fields.time("updated_at"),
        valid_to=expires,
    )


def _ours(
    fields: Fields, place: Place, content: str | None, source_id: str | None, user: str, kept: dict[str, Any]
) -> Item:
    extension = kept.pop(f"x-{_FORMAT}", {})
    if isinstance(extension, dict):
        fields.left |= extension
    kept["valid_to"] = earliest(kept.get("valid_to"), end_of_day(time_of(fields.left.get("expiration_date"))))
    return record(_FORMAT, fields, place, content, source_id=source_id, user_id=user, **kept)


def _of_point(point: dict[str, Any]) -> dict[str, Any]:
    """A point of Qdrant as the library shows it: what it does not know of the payload are the metadata."""
    payload = dict(point["payload"])
    data = payload.pop("data", None)
    metadata = {name: value for name, value in payload.items() if name not in _PAYLOAD}
    shown = {name: value for name, value in payload.items() if name in _PAYLOAD}
    return shown | {"id": point.get("id"), "memory": data} | ({"metadata": metadata} if metadata else {})


def _peek(fields: Fields, entity: str) -> str | None:
    values = (fields.left.get(name) for name in _ENTITIES[entity])
    return next((value for value in values if isinstance(value, str) and value.strip()), None)


READER: Final = Reader(
    _FORMAT,
    "mem0: get_all, pages of the platform, Qdrant points, the migration file, history",
    read,
    {"user-from": "which entity of mem0 the user is: user (the default), agent, app or run"},
)
