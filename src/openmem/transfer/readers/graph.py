"""Facts of knowledge graphs: the edges of Zep and of Graphiti, with the names of the entities that they connect.

Both never delete: a fact that holds no more has the time from which on it does not, and keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from ..formats import Options, Reader
from ..records import Item, Place, Problem
from ..sources import Source
from .fields import Fields, names_of, record
from .rows import rows_of

_PAGES: Final = ("edges", "facts", "nodes", "results", "items")
_DERIVED: Final = ("fact_embedding", "name_embedding", "embedding", "score")

Row = dict[str, Any]


def read(format: str, source: Source, options: Options) -> Iterator[Item]:
    """The facts of the file."""
    for row in rows_of(source, _PAGES):
        yield row if isinstance(row, Problem) else fact(format, *row)


def fact(format: str, place: Place, row: Row) -> Item:
    """The record of an edge, or of an entity that has a summary."""
    fields = Fields(row)
    fields.drop(*_DERIVED)
    source_id = fields.name("uuid", "id")
    user_id = fields.name("user_id", "group_id")
    created = fields.time("created_at")
    if "fact" not in row and "summary" in row:
        return record(
            format, fields, place, fields.text("summary"), source_id=source_id, user_id=user_id, created_at=created,
            scope="entities", tags=names_of([row.get("name")]),
        )  # fmt: skip
    return record(
        format,
        fields,
        place,
        fields.text("fact"),
        source_id=source_id,
        user_id=user_id,
        tags=names_of([row.get("name")]),
        created_at=created,
        valid_from=fields.time("valid_at"),
        valid_to=fields.time("invalid_at", "expired_at"),
    )


ZEP_READER: Final = Reader("zep", "Zep: pages of the edges of a user's graph", partial(read, "zep"))
GRAPHITI_READER: Final = Reader("graphiti", "Graphiti: edges and nodes as JSON", partial(read, "graphiti"))
