"""Filters of metadata: the ``where`` of a selection, read and applied. Pure.

A filter is a JSON object. Each of its members is a condition, and a memory passes if all of them hold:

* ``"topic": "diet"``: the metadata has ``topic``, and it equals this value. An object or a list equals one with the
  same members.
* ``"n": {"$gte": 9, "$lt": 20}``: all of these hold of ``n``. There are ``$eq``, ``$ne``, ``$gt``, ``$gte``, ``$lt``,
  ``$lte``, ``$in``, ``$nin`` and ``$exists``.
* ``"$and": [...]`` and ``"$or": [...]`` take filters, and ``"$not": {...}`` one of which the opposite must hold.

A name with dots is a path: ``"diet.kind"`` is ``kind`` in the object ``diet``. Paths go through objects, not through
lists. A backslash says that a dot, a dollar sign at the beginning, or a backslash belongs to the name itself:
``"v1\\.2"``.

Numbers compare by their values, as in ``9 < 10`` and ``1 = 1.0``, and texts by their code points. Values of different
types are different, and neither is greater. A field that is missing meets no condition but ``$exists: false``, ``$ne``
and ``$nin``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias, cast, get_args

from ._suggestions import closest

Json: TypeAlias = Any

ComparisonOperator: TypeAlias = Literal["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists"]

MAX_CONDITIONS: Final = 64
"""Conditions that a filter may have in all."""
MAX_FILTER_DEPTH: Final = 8
"""How deep filters may be nested in each other."""

_COMPARISONS: Final = frozenset(get_args(ComparisonOperator))
_COMBINATIONS: Final = frozenset({"$and", "$or", "$not"})
_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Comparison:
    """What must hold of one field.

    Attributes:
        path: the names of the objects that the field is in, and its own.
        value: JSON that it is compared with: a list for ``$in`` and ``$nin``, a boolean for ``$exists``, a number or a
            text for those of order.
    """

    path: tuple[str, ...]
    operator: ComparisonOperator
    value: Json

    def matches(self, metadata: Json) -> bool:
        """Whether it holds of a memory with this metadata."""
        found = value_at(metadata, self.path, _MISSING)
        match self.operator:
            case "$exists":
                return bool((found is not _MISSING) == self.value)
            case "$eq":
                return found is not _MISSING and equal(found, self.value)
            case "$ne":
                return found is _MISSING or not equal(found, self.value)
            case "$in":
                return found is not _MISSING and any(equal(found, value) for value in self.value)
            case "$nin":
                return found is _MISSING or not any(equal(found, value) for value in self.value)
        return _is_ordered(found, self.operator, self.value)


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of these must hold."""

    parts: tuple[Filter, ...]

    def matches(self, metadata: Json) -> bool:
        """Whether they hold of a memory with this metadata."""
        return all(part.matches(metadata) for part in self.parts)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of these must hold."""

    parts: tuple[Filter, ...]

    def matches(self, metadata: Json) -> bool:
        """Whether one holds of a memory with this metadata."""
        return any(part.matches(metadata) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not:
    """This must not hold."""

    part: Filter

    def matches(self, metadata: Json) -> bool:
        """Whether it does not hold of a memory with this metadata."""
        return not self.part.matches(metadata)


Filter: TypeAlias = Comparison | AllOf | AnyOf | Not


def parse_filter(where: Mapping[str, Json]) -> Filter:
    """The filter that a JSON object says.

    Raises:
        ValueError: it is none; the message names the member.
    """
    parsed = _filter(where, 1)
    count = _count(parsed)
    if count > MAX_CONDITIONS:
        raise ValueError(f"has {count} conditions, more than {MAX_CONDITIONS}")
    return parsed


def parse_path(text: str) -> tuple[str, ...]:
    """The names in a dotted path.

    Raises:
        ValueError: a name is empty, or a backslash says nothing.
    """
    names, name, characters = [], "", iter(text)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            if escaped not in (".", "$", "\\"):
                raise ValueError(
                    f"{text!r} has a backslash before none of '.', '$' and '\\'; write two for a backslash"
                )
            name += escaped
        elif character == ".":
            names.append(name)
            name = ""
        else:
            name += character
    names.append(name)
    if "" in names:
        raise ValueError(f"{text!r} is not a path such as 'diet.kind': a name in it is empty")
    return tuple(names)


def value_at(metadata: Json, path: Iterable[str], missing: Json = None) -> Json:
    """The value at a path; `missing` where there is none."""
    found = metadata
    for name in path:
        found = found.get(name, missing) if isinstance(found, dict) else missing
    return found


def equal(one: Json, other: Json) -> bool:
    """Whether two values are the same JSON: numbers by their value, and no number is a boolean."""
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return decimal(one) == decimal(other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(value, other[name]) for name, value in one.items())
    return isinstance(one, str) and isinstance(other, str) and one == other


def decimal(number: float) -> Decimal:
    """The number that JSON says, exactly: ``1e23`` is 10 to the 23rd, and not the nearest binary fraction."""
    return Decimal(repr(number))


def _is_ordered(found: object, operator: ComparisonOperator, value: Json) -> bool:
    left: Any
    right: Any
    if isinstance(found, str) and isinstance(value, str):
        left, right = found, value
    elif _is_number(found) and _is_number(value):
        left, right = decimal(cast(float, found)), decimal(value)
    else:
        return False
    match operator:
        case "$gt":
            return bool(left > right)
        case "$gte":
            return bool(left >= right)
        case "$lt":
            return bool(left < right)
    return bool(left <= right)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _filter(where: object, depth: int) -> Filter:
    if not isinstance(where, Mapping) or not where:
        raise ValueError("is not a filter; a filter is an object such as {'topic': 'diet'}")
    if depth > MAX_FILTER_DEPTH:
        raise ValueError(f"is nested deeper than {MAX_FILTER_DEPTH} filters")
    parts = tuple(part for name, value in where.items() for part in _members(name, value, depth))
    return parts[0] if len(parts) == 1 else AllOf(parts)


def _members(name: str, value: Json, depth: int) -> Sequence[Filter]:
    if not name.startswith("$"):
        path = parse_path(name)
        if isinstance(value, Mapping) and any(member.startswith("$") for member in value):
            return [_comparison(name, path, operator, operand) for operator, operand in value.items()]
        return [Comparison(path, "$eq", value)]
    if name == "$not":
        return [Not(_filter(value, depth + 1))]
    if name not in _COMBINATIONS:
        raise ValueError(f"{name!r} {_unknown(name, _COMBINATIONS)}; a name that begins with '$' is written '\\$…'")
    if not isinstance(value, list) or not value:
        raise ValueError(f"{name!r} takes a list of one or more filters")
    parts = tuple(_filter(part, depth + 1) for part in value)
    return [AllOf(parts) if name == "$and" else AnyOf(parts)]


def _comparison(name: str, path: tuple[str, ...], operator: str, value: Json) -> Comparison:
    if operator not in _COMPARISONS:
        raise ValueError(f"{name!r}: {operator!r} {_unknown(operator, _COMPARISONS)}")
    if operator == "$exists" and not isinstance(value, bool):
        raise ValueError(f"{name!r}: '$exists' takes true or false")
    if operator in ("$in", "$nin") and not isinstance(value, list):
        raise ValueError(f"{name!r}: {operator!r} takes a list of values")
    if operator in ("$gt", "$gte", "$lt", "$lte") and not (_is_number(value) or isinstance(value, str)):
        raise ValueError(f"{name!r}: {operator!r} takes a number or a text")
    return Comparison(path, cast(ComparisonOperator, operator), value)


def _unknown(operator: str, known: frozenset[str]) -> str:
    meant = closest(operator, sorted(known))
    hint = f"there are {', '.join(sorted(known))}" if meant is None else f"did you mean {meant!r}?"
    return f"is not an operator; {hint}"


def _count(parsed: Filter) -> int:
    match parsed:
        case AllOf(parts) | AnyOf(parts):
            return sum(map(_count, parts))
        case Not(part):
            return _count(part)
        case Comparison(_, "$in" | "$nin", value):
            return max(1, len(value))
    return 1
