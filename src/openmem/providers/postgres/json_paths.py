"""Filters of metadata as SQL/JSON paths: one parameter of a statement, whatever the filter. Pure.

`openmem.filters` says what a filter means. A path is in strict mode, in which no list is taken for what is in it. A
comparison of values of different types, or with a field that is missing, is neither true nor false there, and a filter
expression ``?`` keeps what is true, so that ``exists($ ? (...))`` is one or the other.
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


def predicate_of(where: Filter) -> str:
    """A path that is a predicate: whether a JSON object passes a filter."""
    return f"strict exists($ ? ({_condition(where)}))"


def path_of(names: Sequence[str]) -> str:
    """A path to the field of these names. It fails where there is none."""
    return f"strict ${_members(names)}"


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
