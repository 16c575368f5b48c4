"""Values in a query string: one encoder for the client, one decoder for the server, and their OpenAPI. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args, get_origin

from ..errors import InvalidRequestError
from .strict_json import read_json

Json: TypeAlias = Any

Kind: TypeAlias = Literal["text", "integer", "number", "boolean", "list", "scopes", "json"]
"""How a value is written in a query string.

``list``: a parameter for each text. ``scopes``: the same, and one parameter is the text itself. ``json``: JSON text.
"""

_KIND_OF_TYPE: Final[Mapping[object, Kind]] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    tuple: "list",
    dict: "json",
}
_INTEGER: Final = re.compile(r"-?\d{1,18}", re.ASCII)
_NUMBER: Final = re.compile(r"-?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,3})?", re.ASCII)


def kind_of(annotation: object) -> Kind:
    """How the values of a field are written, by the field's type."""
    types = _types(annotation)
    if str in types and tuple in types:
        return "scopes"
    return next((kind for type, kind in _KIND_OF_TYPE.items() if type in types), "text")


def encode(value: Json) -> tuple[str, ...]:
    """The texts of a parameter that has this value, which is none but JSON."""
    match value:
        case str():
            return (value,)
        case list() | tuple():
            return tuple(value)
        case _:
            return (json.dumps(value, ensure_ascii=False, separators=(",", ":")),)


def decode(name: str, kind: Kind, texts: Sequence[str]) -> Json:
    """The value of a parameter.

    Args:
        name: of the parameter, for messages.
        texts: of all parameters with this name.

    Raises:
        InvalidRequestError: it is not written as its kind is, or given twice where there is one value.
    """
    if kind == "list" or (kind == "scopes" and len(texts) > 1):
        return tuple(texts)
    text = only(name, texts)
    match kind:
        case "integer":
            return int(text) if _INTEGER.fullmatch(text) else text
        case "number":
            if not _NUMBER.fullmatch(text):
                raise InvalidRequestError(f"{name}: {text[:80]!r} is not a number")
            return float(text)
        case "boolean":
            return {"true": True, "false": False}.get(text, text)
        case "json":
            try:
                return read_json(text)
            except ValueError as error:
                raise InvalidRequestError(f"{name}: {error}") from None
    return text


def only(name: str, texts: Sequence[str]) -> str:
    """The text of a parameter that is given once.

    Raises:
        InvalidRequestError: it is given twice.
    """
    if len(texts) > 1:
        raise InvalidRequestError(f"{name}: the query string has it twice; give it once")
    return texts[0]


def schema_of(kind: Kind, schema: Mapping[str, Json]) -> Mapping[str, Json]:
    """The members of an OpenAPI parameter that describe its value.

    Args:
        schema: of the field, as JSON has it.
    """
    branches = [branch for branch in schema.get("anyOf", [schema]) if branch != {"type": "null"}]
    if kind == "scopes":
        branches = [branch for branch in branches if branch.get("type") == "array"]
    [own] = branches
    if kind == "json":
        return {"content": {"application/json": {"schema": own}}}
    return {"schema": own}


def _types(annotation: object) -> set[object]:
    """The types that an annotation is made of, without those within containers."""
    origin = get_origin(annotation)
    if origin in (tuple, dict):
        return {origin}
    parts = get_args(annotation)[:1] if origin is Annotated else get_args(annotation)
    return {annotation} if not parts else {found for part in parts for found in _types(part)}
