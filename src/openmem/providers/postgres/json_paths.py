"""Filters of metadata as two parameters of a statement, whatever the filter: JSON and a SQL/JSON path. Pure.

`openmem.filters` says what a filter means. Fields that equal texts, numbers, booleans and null are JSON that metadata
must contain, which PostgreSQL checks in less time than a path. What else a filter says is a path.

A path is in strict mode, in which no list is taken for what is in it. A comparison of values of different types, or
with a field that is missing, is neither true nor false there, and a filter expression ``?`` keeps what is true, so that
``exists($ ? (...))`` is one or the other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from ...filters import AllOf, AnyOf, Comparison, Filter, Not

_ALWAYS: Final = "1 == 1"
_NEVER: Final = "1 == 2"
_ORDER: Final = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_GROUP: Final = 16
"""How many conditions stand beside each other. More are nested, so that the server's stack is enough for any number."""


def split_filter(where: Filter) -> tuple[dict[str, Any] | None, Filter | None]:
    """What metadata must contain, and what else must hold of it. Together they are the filter.

    Lists and objects are no part of the first: one that contains another need not equal it.
    """
    contained: dict[str, Any] = {}
    rest: list[Filter] = []
    for part in where.parts if isinstance(where, AllOf) else (where,):
        match part:
            case Comparison(path, "$eq", value) if not isinstance(value, dict | list) and _put(contained, path, value):
                continue
        rest.append(part)
    return contained or None, AllOf(tuple(rest)) if len(rest) > 1 else rest[0] if rest else None


def predicate_of(where: Filter) -> str:
    """A path that is a predicate: whether a JSON object passes a filter."""
    return f"strict exists($ ? ({_condition(where)}))"


def path_of(names: Sequence[str]) -> str:
    """A path to the field of these names. It fails where there is none."""
    return f"strict ${_members(names)}"


def _put(fields: dict[str, Any], path: Sequence[str], value: Any) -> bool:
    """Set the field at a path, unless it or one on the way has a value already. Whether it was set."""
    *outer, name = path
    for each in outer:
        inner: Any = fields.setdefault(each, {})
        if not isinstance(inner, dict):
            return False
        fields = inner
    if name in fields:
        return False
    fields[name] = value
    return True


def _condition(where: Filter) -> str:
    """A condition on ``@``, the metadata."""
    match where:
        case AllOf(parts):
            return _joined(" && ", [_condition(part) for part in parts])
        case AnyOf(parts):
            return _joined(" || ", [_condition(part) for part in parts])
        case Not(part):
            return _opposite(_condition(part))
        case Comparison(path, operator, value):
            return _comparison(f"@{_members(path)}", operator, value)


def _comparison(field: str, operator: str, value: Any) -> str:
    match operator:
        case "$exists":
            return f"exists({field})" if value else _opposite(f"exists({field})")
        case "$eq":
            return _equals(field, value)
        case "$ne":
            return _opposite(_equals(field, value))
        case "$in":
            return _one_of(field, value)
        case "$nin":
            return _opposite(_one_of(field, value))
    return f"({field} {_ORDER[operator]} {_literal(value)})"


def _opposite(condition: str) -> str:
    """Also where `condition` is neither true nor false."""
    return f"!exists(@ ? ({condition}))"


def _one_of(field: str, values: Sequence[Any]) -> str:
    return _joined(" || ", [_equals(field, value) for value in values]) if values else f"({_NEVER})"


def _equals(field: str, value: Any) -> str:
    """Whether a field equals a value, by its members where it has any: paths compare no objects and lists."""
    if isinstance(value, dict):
        named = [f"@.key != {_text(name)}" for name in value]
        others = f"@.keyvalue() ? ({_joined(' && ', named) if named else _ALWAYS})"
        members = [_equals(f"@{_members([name])}", member) for name, member in value.items()]
        parts = ['(@.type() == "object")', *members, f"!exists({others})"]
    elif isinstance(value, list):
        items = [_equals(f"@[{index}]", item) for index, item in enumerate(value)]
        parts = ['(@.type() == "array")', f"(@.size() == {len(value)})", *items]
    else:
        return f"({field} == {_literal(value)})"
    return f"exists({field} ? ({_joined(' && ', parts)}))"


def _joined(operator: str, parts: Sequence[str]) -> str:
    while len(parts) > _GROUP:
        parts = [_joined(operator, parts[start : start + _GROUP]) for start in range(0, len(parts), _GROUP)]
    return f"({operator.join(parts)})"


def _members(names: Sequence[str]) -> str:
    return "".join(f".{_text(name)}" for name in names)


def _literal(value: Any) -> str:
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
