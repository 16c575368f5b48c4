"""What results look like in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from .output import Column

Json: TypeAlias = Any


def _day(name: str) -> Any:
    def read(item: Mapping[str, Json]) -> str:
        return str(item.get(name) or "")[:10]

    return read


def _validity(record: Mapping[str, Json]) -> str:
    begin, end = _day("valid_from")(record), _day("valid_to")(record)
    return f"{begin} - {end}" if end else begin and f"from {begin}"


MEMORIES: Final = (
    Column("MEMORY", lambda record: record["content"], is_flexible=True),
    Column("SCOPE", lambda record: record.get("scope")),
    Column("TAGS", lambda record: record.get("tags")),
    Column("VALID", _validity),
    Column("CREATED", _day("created_at")),
    Column("ID", lambda record: record["id"]),
)
RESULTS: Final = (
    Column("SCORE", lambda result: f"{result['score']:.2f}", is_right=True),
    Column("MEMORY", lambda result: result["memory"]["content"], is_flexible=True),
    Column("SCOPE", lambda result: result["memory"].get("scope")),
    Column("CREATED", lambda result: _day("created_at")(result["memory"])),
    Column("ID", lambda result: result["memory"]["id"]),
)


def id_of(record: Mapping[str, Json]) -> str:
    """What ``-q`` writes of a memory."""
    return str(record["id"])


def id_of_result(result: Mapping[str, Json]) -> str:
    """What ``-q`` writes of a search result."""
    return str(result["memory"]["id"])
