"""The values of a field, and how many memories have each. Pure."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Sequence
from datetime import datetime
from typing import Any

from ..filters import decimal, parse_path, value_at
from ..models import Facet, Facets, MemoryRecord


def facets_of(records: Iterable[MemoryRecord], by: str) -> Facets:
    """The values of a field among memories, those of the most memories first.

    Args:
        by: ``scope``, ``tag``, ``app`` or ``metadata.`` and a path.
    """
    path = parse_path(by.removeprefix("metadata.")) if by.startswith("metadata.") else None
    found: dict[Hashable, tuple[Any, list[datetime]]] = {}
    for record in records:
        values = _values(record, by) if path is None else [value_at(record.metadata, path)]
        for sameness, value in {_sameness(value): value for value in values}.items():
            found.setdefault(sameness, (value, []))[1].append(record.created_at)
    facets = [Facet(value=value, count=len(times), newest=max(times)) for value, times in found.values()]
    facets.sort(key=lambda facet: (facet.value is None, _text(facet.value)))
    return sorted(facets, key=lambda facet: (facet.count, facet.newest), reverse=True)


def _values(record: MemoryRecord, by: str) -> Sequence[Any]:
    if by == "tag":
        return record.tags or ()
    if by == "app":
        return [None if record.source is None else record.source.app]
    return [record.scope]


def _sameness(value: Any) -> Hashable:
    """What equal values of JSON have in common, and no others."""
    if isinstance(value, bool) or not isinstance(value, int | float | list | dict):
        return type(value), value
    if isinstance(value, list):
        return tuple(map(_sameness, value))
    if isinstance(value, dict):
        return frozenset((name, _sameness(item)) for name, item in value.items())
    return decimal(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
