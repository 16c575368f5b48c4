"""The store of LangGraph: rows of its table, or items of its API, as JSON lines or pages.

A value is any JSON, so that the option ``text`` may have to say where the text of a memory is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ...errors import InvalidRequestError
from ..formats import Options, Reader
from ..records import Item, Place, Problem
from ..sources import Source
from .fields import Fields, fits_metadata, is_name, record, scope_of
from .rows import rows_of

_FORMAT: Final = "langgraph"
TEXT_PATHS: Final = (
    "value", "value.content", "value.content.content", "value.text", "value.memory", "value.data", "value.fact",
)  # fmt: skip
"""Where a text is looked for, in this order, if the option does not say."""

Row = dict[str, Any]


def read(source: Source, options: Options) -> Iterator[Item]:
    """The memories of the rows."""
    paths = (options["text"],) if "text" in options else TEXT_PATHS
    user_part: int | None = None
    if "user-part" in options:
        try:
            user_part = int(options["user-part"])
        except ValueError:
            raise InvalidRequestError(
                "option 'user-part': give the number of a part of the namespace, from 1; from the end if it is negative"
            ) from None
        if user_part == 0:
            raise InvalidRequestError("option 'user-part': the parts of a namespace are counted from 1")
    for row in rows_of(source, ("items",)):
        yield row if isinstance(row, Problem) else memory(*row, paths=paths, user_part=user_part)


def memory(place: Place, row: Row, *, paths: tuple[str, ...] = TEXT_PATHS, user_part: int | None = None) -> Item:
    """The record of one row.

    Args:
        paths: where in the row the text may be; the first that is text is taken.
        user_part: which part of the namespace names the user, from 1, or from -1 backwards; None if none does.
    """
    fields = Fields(row)
    namespace = row.get("prefix", row.get("namespace"))
    parts = namespace.split(".") if isinstance(namespace, str) else namespace
    key = row.get("key")
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        return Problem("has no namespace: neither 'prefix' nor 'namespace' is one", place)
    if not is_name(key):
        return Problem("has no key", place)
    source_id = "/".join([*parts, str(key)])
    user_id = None
    if user_part is not None:
        index = user_part - 1 if user_part > 0 else user_part
        if not -len(parts) <= index < len(parts) or not is_name(parts[index]):
            return Problem(
                f"has no part {user_part} in its namespace, which names the user", place, source_id=source_id
            )
        user_id = parts.pop(index)
    content, value = _taken(row.get("value"), paths)
    if content is None:
        return Problem(
            f"has no text at {' or '.join(paths)}: name the path with the option text", place, source_id=source_id
        )
    fields.drop("value")
    metadata = value if isinstance(value, dict) and fits_metadata(value) else None
    if value not in (None, {}) and metadata is None:
        fields.left["value"] = value
    scope = scope_of(*parts)
    if scope == "/".join(parts) and user_id is None:
        fields.drop("prefix", "namespace")
    fields.drop("key")
    return record(
        _FORMAT,
        fields,
        place,
        content,
        source_id=source_id,
        user_id=user_id,
        scope=scope,
        key=key,
        metadata=metadata,
        created_at=fields.time("created_at"),
        updated_at=fields.time("updated_at"),
        expires_at=fields.time("expires_at"),
    )


def _taken(value: object, paths: tuple[str, ...]) -> tuple[str | None, object]:
    """The text of a value, and the value without it."""
    for path in paths:
        found, rest = _at(value, path.split(".")[1:] if path.split(".")[0] == "value" else path.split("."))
        if found is not None:
            return found, rest
    return None, value


def _at(value: object, names: list[str]) -> tuple[str | None, object]:
    if not names:
        return (value, None) if isinstance(value, str) and value.strip() else (None, value)
    if not isinstance(value, dict) or names[0] not in value:
        return None, value
    found, rest = _at(value[names[0]], names[1:])
    others = {name: item for name, item in value.items() if name != names[0]}
    return found, others if rest in (None, {}) else others | {names[0]: rest}


READER: Final = Reader(
    _FORMAT,
    "the store of LangGraph: rows or items as JSON",
    read,
    {
        "text": "where the text is in a row, as in value.content.text",
        "user-part": "which part of the namespace is the user: 1 is the first, -1 the last",
    },
)
