"""The arguments of a tool, as models write them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from .._suggestions import closest
from ..errors import InvalidRequestError
from .definitions import Definition, Schema

_NAMES_OF_USERS: Final = frozenset(("user", "user_id", "userId", "username"))


def arguments_of(definition: Definition, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The arguments by their names, in the types of the tool's schema.

    Models and hosts write numbers and lists as text, send null for what is not given, and ``""`` for optional text; all
    of that is understood. What the rules of the verb say about the values is left to the verb.

    Raises:
        InvalidRequestError: there is no such argument, or a number is beyond what the tool takes.
    """
    schema = definition.tool.input_schema
    properties: Mapping[str, Schema] = schema["properties"]
    required = schema.get("required", ())
    found: dict[str, Any] = {}
    for name, value in (given or {}).items():
        if name not in properties:
            raise _unknown(definition, name, properties)
        if value is None or (value == "" and name not in required and name != "content"):
            continue
        typed = _typed(properties[name], value)
        if typed is not None:
            found[name] = _bounded(name, typed, properties[name])
    for name, property in properties.items():
        if name not in found and "default" in property:
            found[name] = property["default"]
    return found


def _unknown(definition: Definition, name: str, properties: Mapping[str, Schema]) -> InvalidRequestError:
    tool = definition.tool.name
    if name in _NAMES_OF_USERS:
        return InvalidRequestError(
            f"{name}: {tool} has no such argument; whose memories they are is set where this server is configured"
        )
    meant = closest(name, properties, min_similarity=0.6)
    hint = "" if meant is None else f"did you mean {meant!r}? "
    return InvalidRequestError(f"{name[:80]}: {tool} has no such argument; {hint}it has {', '.join(properties)}")


def _typed(schema: Schema, value: Any) -> Any:
    """The value in the type of the schema if it is written as text; as it is if it stands for none.

    None if it is the text ``null``.
    """
    match schema["type"]:
        case "array" | "number" | "integer" if isinstance(value, str) and value.strip() == "null":
            return None
        case "array" if isinstance(value, str):
            parsed = _parsed(value)
            return parsed if isinstance(parsed, list) else [value]
        case "number" | "integer" if isinstance(value, str):
            parsed = _parsed(value)
            return _typed(schema, parsed) if isinstance(parsed, int | float) else value
        case "integer" if isinstance(value, float) and value.is_integer():
            return int(value)
        case "number" if isinstance(value, int) and not isinstance(value, bool):
            return float(value)
    return value


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _bounded(name: str, value: Any, schema: Schema) -> Any:
    if "maximum" not in schema:
        return value
    least, most = schema["minimum"], schema["maximum"]
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidRequestError(f"{name}: give a whole number from {least} to {most}")
    return value
