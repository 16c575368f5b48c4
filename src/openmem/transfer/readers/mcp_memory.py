"""The file of the reference MCP server for memory: JSON lines with the entities and relations of a graph.

An observation becomes a memory that begins with the name of what it is about, as in ``Maya: is vegan``, since it says
nothing without it. A relation becomes one, too. The file has no ids, users or times.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ..formats import Options, Reader
from ..records import Item, Place, Problem
from ..sources import Source
from .fields import Fields, names_of, record, scope_of
from .rows import rows_of

_FORMAT: Final = "mcp-memory"


def read(source: Source, options: Options) -> Iterator[Item]:
    """The memories of the file."""
    for row in rows_of(source, ()):
        if isinstance(row, Problem):
            yield row
        else:
            yield from memories(*row)


def memories(place: Place, row: dict[str, Any]) -> Iterator[Item]:
    """The memories of one line."""
    if row.get("type") == "entity":
        yield from _observations(place, row)
    elif row.get("type") == "relation":
        fields = Fields(row)
        ends = [fields.text("from"), fields.text("to")]
        kind = fields.text("relationType")
        if None in ends or kind is None:
            yield Problem("is a relation without from, to or relationType", place)
            return
        fields = Fields(row)
        content = f"{ends[0]} {kind} {ends[1]}"
        yield record(_FORMAT, fields, place, content, source_id=None, user_id=None, scope="kg", tags=names_of(ends))
    else:
        yield Problem("is neither an entity nor a relation", place)


def _observations(place: Place, row: dict[str, Any]) -> Iterator[Item]:
    entity = Fields(row)
    observations = entity.list("observations")
    name = row.get("name")
    if not isinstance(name, str) or not name.strip():
        yield Problem("is an entity without a name", place)
        return
    scope = scope_of("kg", row.get("entityType"))
    for observation in observations or [None]:
        fields = Fields(entity.left | {"observation": observation})
        if observation is None:
            content = name
        elif isinstance(observation, str) and observation.strip():
            content = f"{name}: {observation}"
        else:
            yield Problem("has an observation that is no text", place, field="observations")
            continue
        yield record(_FORMAT, fields, place, content, source_id=None, user_id=None, scope=scope, tags=names_of([name]))


READER: Final = Reader(_FORMAT, "the reference MCP server's memory.json", read)
