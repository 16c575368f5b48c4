"""The types of the verbs' arguments: what each takes, and what it refuses with which words."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, NotRequired, TypeAlias, TypedDict

from pydantic import AfterValidator, BeforeValidator, Field, Strict, StringConstraints

from .._scopes import MAX_SCOPE_CHARACTERS, check_path, check_pattern
from .._suggestions import closest
from .._text import MAX_NAME_CHARACTERS, check_text
from .._time_zones import name_of, time_zone
from ..filters import parse_filter, parse_path
from ..models import MemorySource, Timestamp, as_utc
from .messages import shown

MAX_TAGS: Final = 128
MAX_SCOPES: Final = 128
"""Scope patterns of one query, at most."""
MAX_METADATA_BYTES: Final = 16 * 1024
"""Of metadata, and of a filter, as JSON in UTF-8."""
MAX_UNINDEXED_CHARACTERS: Final = 512 * 1024
"""Of the content of a memory that no search finds."""
MAX_JSON_DEPTH: Final = 32
MAX_INTEGER_DIGITS: Final = 640
"""Digits of a whole number in JSON. Python writes and reads as many whatever its own limit is set to."""
MAX_TOKEN_BUDGET: Final = 2**53 - 1
"""The greatest whole number that every JSON reader takes exactly."""
MAX_VERSION: Final = 2**31 - 1
MAX_HALF_LIFE: Final = 1e12
"""About 30,000 years, in seconds."""
_INTEGER_BOUND: Final = 10**MAX_INTEGER_DIGITS
_EXTENSION_KEY = re.compile(r"x-[a-z0-9][a-z0-9_-]*")


class Unset:
    """The type of `UNSET`, which distinguishes "not given" from an explicit None."""

    def __repr__(self) -> str:
        return "<unset>"


UNSET: Final = Unset()


def repaired(value: object) -> object:
    """A string as `check_text` returns it; anything else as it is."""
    return check_text(value) if isinstance(value, str) else value


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; give some text")
    return text


def _time(value: object) -> object:
    if isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str):
            return datetime.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError(f"{shown(value)} is not a time; pass a datetime, or a string such as '2026-01-31T12:00:00Z'")


def _aware(moment: datetime) -> datetime:
    utc = as_utc(moment)
    return moment if moment.utcoffset() else utc


def _time_zone_name(value: object) -> str:
    return name_of(time_zone(value))


def _half_life(value: object) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ValueError(f"{shown(value)} is not a half-life; pass a timedelta, or a number of seconds")
    if not 1 <= seconds <= MAX_HALF_LIFE:
        raise ValueError(f"{shown(value)} is not a half-life from 1 second to {MAX_HALF_LIFE:g} seconds")
    return float(seconds)


def _items(value: object) -> object:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Sequence):
        raise ValueError(f"{shown(value)} is not a list of strings")
    return tuple(value)


def _unit(value: float) -> float:
    if math.isnan(value) or not 0.0 <= value <= 1.0:
        raise ValueError(f"{value} is not between 0 and 1")
    return value


def _source(value: object) -> object:
    if isinstance(value, MemorySource):
        return check_json(value.to_wire())
    if isinstance(value, Mapping):
        return check_json(dict(value))
    raise ValueError(f"{shown(value)} is not a MemorySource; pass one, or a dict with app, type, ref")


def check_json(value: object, depth: int = 0) -> Any:
    """`value` as JSON has it, with text as `check_text` returns it.

    Raises:
        ValueError: it cannot be stored as JSON without loss.
    """
    if depth > MAX_JSON_DEPTH:
        raise ValueError(f"is nested deeper than {MAX_JSON_DEPTH} levels")
    match value:
        case None | bool():
            return value
        case int():
            if not -_INTEGER_BOUND < value < _INTEGER_BOUND:
                raise ValueError(f"holds a whole number of more than {MAX_INTEGER_DIGITS} digits; pass it as text")
            return value
        case str():
            return check_text(value)
        case float() if math.isfinite(value):
            return value
        case dict():
            members: dict[str, Any] = {}
            for key, item in value.items():
                if not isinstance(key, str):
                    raise ValueError(f"has the key {shown(key)}; JSON keys are strings")
                name = check_text(key)
                if name in members:
                    raise ValueError(f"has the key {shown(name)} twice, once as a pair of surrogates; leave one out")
                members[name] = check_json(item, depth + 1)
            return members
        case list() | tuple():
            return [check_json(item, depth + 1) for item in value]
    raise ValueError(f"holds {shown(value)}, which JSON cannot express")


def _object(value: object, example: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"is of type {type(value).__name__}; pass a dict such as {example}")
    checked: dict[str, Any] = check_json(dict(value))
    size = len(json.dumps(checked, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MAX_METADATA_BYTES:
        raise ValueError(f"has {size} bytes as JSON, more than {MAX_METADATA_BYTES}")
    return checked


def _metadata(value: object) -> object:
    return _object(value, "{'topic': 'diet'}")


def _where(value: object) -> object:
    checked = _object(value, "{'topic': 'diet', 'n': {'$gte': 9}}")
    parse_filter(checked)
    return checked


def _scope_patterns(value: object) -> object:
    patterns = [value] if isinstance(value, str) else value
    if isinstance(patterns, Mapping) or not isinstance(patterns, Sequence):
        raise ValueError(f"{shown(value)} is not a scope such as 'coding/*', or a list of those")
    if not 0 < len(patterns) <= MAX_SCOPES:
        raise ValueError(f"has {len(patterns)} scopes; give 1 to {MAX_SCOPES}, or leave it out")
    checked = []
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise ValueError(f"{shown(pattern)} is not a string")
        checked.append(check_pattern(check_text(pattern)))
    return checked[0] if isinstance(value, str) else tuple(checked)


def _bounded_in_items(schema: dict[str, Any]) -> None:
    """Call the bound of a list by its name in JSON Schema: pydantic takes it for one in characters."""
    schema["maxItems"] = schema.pop("maxLength")


def _facet_field(value: object) -> object:
    if not isinstance(value, str) or value not in ("scope", "tag", "app"):
        if not isinstance(value, str) or not value.startswith("metadata."):
            raise ValueError(f"{shown(value)} is not 'scope', 'tag', 'app' or 'metadata.' and a path in the metadata")
        parse_path(check_text(value.removeprefix("metadata.")))
    return value


def _extensions(value: dict[str, Any]) -> dict[str, Any]:
    extensions: dict[str, Any] = {}
    for key, item in value.items():
        if not _EXTENSION_KEY.fullmatch(key):
            meant = closest(key, ADD_ARGUMENTS, min_similarity=0.75)
            hint = "" if meant is None else f"; did you mean {meant!r}?"
            raise ValueError(
                f"{shown(key)} is not a field of this verb{hint}; extensions are named 'x-<provider>', as in 'x-mem0'"
            )
        try:
            extensions[key] = check_json(item)
        except ValueError as error:
            raise ValueError(f"{key!r} {error}") from None
    return json.loads(json.dumps(extensions)) if extensions else extensions


Progress: TypeAlias = Callable[[int, int], None]
"""Called with the memories done and the memories there are, as long work goes on."""

AnyText = Annotated[str, Strict(), BeforeValidator(repaired)]
Text = Annotated[str, Strict(), BeforeValidator(repaired), AfterValidator(_not_blank)]
Name = Annotated[Text, StringConstraints(max_length=MAX_NAME_CHARACTERS)]
ScopePath = Annotated[
    str,
    Strict(),
    BeforeValidator(repaired),
    StringConstraints(max_length=MAX_SCOPE_CHARACTERS),
    AfterValidator(check_path),
]
ScopePatterns = Annotated[
    str | Annotated[tuple[str, ...], Field(json_schema_extra={"maxItems": MAX_SCOPES})],
    BeforeValidator(_scope_patterns),
]
"""One scope pattern or several."""
Metadata = Annotated[dict[str, Any], BeforeValidator(_metadata)]
Where = Annotated[dict[str, Any], BeforeValidator(_where)]
"""A filter of metadata; see `openmem.filters`."""
FacetField = Annotated[str, BeforeValidator(_facet_field)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_items)]
Tags = Annotated[Names, Field(max_length=MAX_TAGS, json_schema_extra=_bounded_in_items)]
TimeInput = Annotated[Timestamp, BeforeValidator(_time)]
LocalTimeInput = Annotated[datetime, AfterValidator(_aware), BeforeValidator(_time)]
"""A time that keeps its offset from UTC, since that says which day it is where somebody said so."""
HalfLife = Annotated[float, Field(ge=1, le=MAX_HALF_LIFE), BeforeValidator(_half_life)]
"""In seconds."""
TimeZoneName = Annotated[str, BeforeValidator(_time_zone_name)]
UnitInterval = Annotated[float, Strict(), AfterValidator(_unit)]
Source = Annotated[MemorySource, BeforeValidator(_source)]
Extensions = Annotated[dict[str, Any], AfterValidator(_extensions)]


class MemoryInput(TypedDict):
    """The arguments of `add` as a mapping. Extensions, which are named ``x-<provider>``, may be added."""

    content: str
    user_id: str
    scope: NotRequired[str | None]
    tags: NotRequired[Sequence[str] | None]
    source: NotRequired[MemorySource | Mapping[str, Any] | None]
    confidence: NotRequired[float | None]
    valid_from: NotRequired[datetime | str | None]
    valid_to: NotRequired[datetime | str | None]
    supersedes: NotRequired[Sequence[str] | None]
    supersede_ended: NotRequired[bool]
    metadata: NotRequired[Mapping[str, Any] | None]
    key: NotRequired[str | None]
    expires_at: NotRequired[datetime | str | None]
    indexed: NotRequired[bool]


ADD_ARGUMENTS: Final = frozenset(MemoryInput.__annotations__)
"""Names of the arguments of `add`, but for extensions."""


def check_content(content: str, *, is_indexed: bool) -> None:
    """Raise `ValueError` if a memory cannot have this content."""
    if is_indexed and not content.strip():
        raise ValueError("content: is empty; give some text")
    if not is_indexed and len(content) > MAX_UNINDEXED_CHARACTERS:
        raise ValueError(f"content: has {len(content)} characters, more than {MAX_UNINDEXED_CHARACTERS}")


def check_validity(valid_from: datetime | None, valid_to: datetime | None) -> None:
    """Raise `ValueError` if a validity ends before it begins."""
    if valid_from is not None and valid_to is not None and valid_to < valid_from:
        raise ValueError(f"valid_to: {valid_to.isoformat()} is before valid_from {valid_from.isoformat()}")
