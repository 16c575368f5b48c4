"""What results look like in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from .output import Column
from .plain import counted

if TYPE_CHECKING:
    from ..models import Erased, Purged

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
AUDIT_ENTRIES: Final = (
    Column("TIME", lambda entry: str(entry["timestamp"])[:19].replace("T", " ")),
    Column("APP", lambda entry: entry.get("app")),
    Column("ACTION", lambda entry: entry["action"]),
    Column("MEMORY", lambda entry: entry.get("memory_id")),
    Column("SCOPE", lambda entry: entry.get("scope")),
    Column("REQUEST", lambda entry: entry.get("request_id"), is_flexible=True),
)
FACET_VALUES: Final = (
    Column("VALUE", lambda facet: facet.get("value", "(none)"), is_flexible=True),
    Column("COUNT", lambda facet: facet["count"], is_right=True),
    Column("NEWEST", _day("newest")),
)
USER_SUMMARIES: Final = (
    Column("USER", lambda user: user["user_id"], is_flexible=True),
    Column("COUNT", lambda user: user["count"], is_right=True),
    Column("NEWEST", _day("newest")),
)


def memories(number: int) -> str:
    """As in ``1 memory``."""
    return counted(number, "memory", "memories")


def removed(found: Erased | Purged) -> str:
    """What was removed of a user, or of all."""
    entries = counted(found.audit_entries, "audit entry", "audit entries")
    return f"removed {memories(found.memories)} and {entries}"


def id_of(record: Mapping[str, Json]) -> str:
    """What ``-q`` writes of a memory."""
    return str(record["id"])


def id_of_result(result: Mapping[str, Json]) -> str:
    """What ``-q`` writes of a search result."""
    return str(result["memory"]["id"])
