"""Words for what a report and capabilities name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

LABELS: Final[Mapping[str, str]] = {
    "provider": "Backend",
    "omp_version": "OMP version",
    "answered_in_ms": "Answered in",
    "pgvector": "pgvector",
    "vector_search": "Searches by meaning",
    "keyword_search": "Searches by words",
    "graph_queries": "Relates memories to each other",
    "temporal": "Knows when memories are valid",
    "scopes": "Scopes",
    "max_content_length": "Longest text",
    "supports_e2e": "End-to-end encryption",
    "supports_audit": "Audit log",
    "supports_supersession": "Memories replace others",
    "scores": "Scores",
    "atomic_supersession": "Replaces in one step",
    "audits_reads": "Reads are in the audit log",
    "audit_pages": "Audit log by pages",
    "timezones": "Searches in a time zone",
    "recency": "Searches can prefer newer memories",
    "metadata": "Metadata, and filters by it",
    "filters": "Filters by tags, application and time",
    "keys": "Memories have keys",
    "versions": "Changes are counted",
    "expiry": "Memories can expire",
    "unindexed": "Memories can be kept out of searches",
    "explanations": "Says why a memory was found",
    "rate_limit_per_minute": "Most calls a minute",
    "max_search_results": "Most results of a search",
}
_VALUES: Final[Mapping[tuple[str, object], str]] = {
    ("scopes", "native"): "selected by the backend",
    ("scopes", "tags"): "kept as tags of the backend",
    ("scopes", "none"): "none",
    ("scores", "similarity"): "mean the same from query to query",
    ("scores", "rank"): "give the order only",
}
_UNITS: Final[Mapping[str, str]] = {"answered_in_ms": "ms", "max_content_length": "characters"}


def worded(values: Mapping[str, Any]) -> dict[str, str]:
    """What values are called, and what they say; those that are None are left out."""
    return {_label(name): _said(name, value) for name, value in values.items() if value is not None}


def _label(name: str) -> str:
    return LABELS.get(name) or name.replace("_", " ").capitalize()


def _said(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = _VALUES.get((name, value)) or (f"{value:,}" if isinstance(value, int | float) else str(value))
    return f"{text} {_UNITS[name]}" if name in _UNITS else text
