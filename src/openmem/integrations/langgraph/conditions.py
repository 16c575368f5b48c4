"""From the filters of LangGraph to those of openmem.

LangGraph has plain values and ``$eq $ne $gt $gte $lt $lte`` on the fields of a value; a plain object selects by what is
in it. The other operators of `openmem.filters` on a field work, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ...errors import InvalidRequestError
from ..segments import field_name

OPERATORS: Final = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists")


def where_of(filter: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The filter of metadata that selects what LangGraph's does.

    Raises:
        InvalidRequestError: an operator is unknown, or an empty object is asked for.
    """
    conditions = [
        condition for name, wanted in (filter or {}).items() for condition in _conditions(field_name(name), wanted)
    ]
    if len(conditions) < 2:
        return conditions[0] if conditions else None
    return {"$and": conditions}


def _conditions(path: str, wanted: Any) -> list[dict[str, Any]]:
    if isinstance(wanted, Mapping):
        if any(str(name).startswith("$") for name in wanted):
            return [_condition(path, operator, value) for operator, value in wanted.items()]
        if not wanted:
            raise InvalidRequestError("filter: an empty object selects nothing in particular; use {'$exists': True}")
        return [
            condition
            for name, value in wanted.items()
            for condition in _conditions(f"{path}.{field_name(name)}", value)
        ]
    return [_condition(path, "$eq", wanted)]


def _condition(path: str, operator: str, value: Any) -> dict[str, Any]:
    if operator not in OPERATORS:
        raise InvalidRequestError(f"filter: {operator!r} is no operator; there are {', '.join(OPERATORS)}")
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = list(value)
    if value is None and operator == "$eq":
        return {"$or": [{path: None}, {path: {"$exists": False}}]}
    if value is None and operator == "$ne":
        return {"$and": [{path: {"$exists": True}}, {path: {"$ne": None}}]}
    return {path: {operator: value}}
