"""What results look like in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def _explanation(result: Mapping[str, Json]) -> Mapping[str, Json]:
    explained: Mapping[str, Json] = (result.get("x-openmem") or {}).get("explanation") or {}
    return explained


def _terms(result: Mapping[str, Json]) -> Sequence[Mapping[str, Json]]:
    terms: Sequence[Mapping[str, Json]] = _explanation(result).get("terms", ())
    return terms


def _part(name: str) -> Any:
    def read(result: Mapping[str, Json]) -> str:
        part = f"{_explanation(result).get(name, 0.0):.2f}"
        return "" if part == "0.00" else part

    return read


def _kept(result: Mapping[str, Json]) -> str:
    found = _explanation(result)
    kept = found.get("question_factor", 1.0) * found.get("recency_factor", 1.0)
    return "" if kept > 0.995 else f"{kept:.0%}"


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
EXPLAINED_RESULTS: Final = (
    RESULTS[0],
    Column("MEANING", _part("meaning"), is_right=True),
    Column("WORDS", _part("words"), is_right=True),
    Column("DATES", _part("dates"), is_right=True),
    Column("NEIGHBOR", _part("neighbor"), is_right=True),
    Column("KEPT", _kept, is_right=True),
    Column("FOUND", lambda result: [term["text"] or "(speaker)" for term in _terms(result) if term["found"]], True),
    Column(
        "MISSING", lambda result: [term["text"] or "(speaker)" for term in _terms(result) if not term["found"]], True
    ),
    Column("BESIDE", lambda result: _explanation(result).get("neighbor_id")),
    RESULTS[1],
    Column("ID", lambda result: result["memory"]["id"]),
)
"""Results with the parts of their scores, the words of the query, and the memory that a neighbor stands beside."""
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
