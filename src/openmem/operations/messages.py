"""What the errors about wrong arguments say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Final

from pydantic import ValidationError

from ..errors import OMPError

_LED_BY_FIELD = re.compile(r"[a-z_]+: ")
_PREDICATES: Final[Mapping[str, str]] = {
    "string_type": "is not a string",
    "int_type": "is not a whole number",
    "float_type": "is not a number",
    "bool_type": "is not True or False",
    "greater_than_equal": "is less than {ge:g}, the least that is allowed",
    "less_than_equal": "is more than {le:g}, the most that is allowed",
    "literal_error": "is not one of {expected}",
}
"""What is said of a value, by pydantic's type of the error."""


def shown(value: object) -> str:
    """A value for a message, on one line of at most 80 characters: of what may hold the text of a memory, the type."""
    if value is not None and not isinstance(value, str | int | float | Decimal | date | timedelta | time):
        return f"a value of type {type(value).__name__}"
    try:
        text = repr(value)
    except ValueError:
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= 80 else text[:77] + "…"


def explain(error: ValidationError) -> str:
    """The first thing that is wrong, led by the field it is about."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    match first["type"]:
        case "value_error":
            pass
        case "extra_forbidden":
            message = "is not a field of this verb"
        case "missing":
            message = "is required"
        case "too_long" | "string_too_long":
            unit = "characters" if isinstance(first["input"], str) else "items"
            message = f"has {len(first['input'])} {unit}, more than {first['ctx']['max_length']}"
        case kind if kind in _PREDICATES:
            message = f"{shown(first['input'])} {_PREDICATES[kind].format(**first.get('ctx', {}))}"
        case _:
            message = f"{shown(first['input'])} is refused: {message[0].lower()}{message[1:]}"
    return f"{field}: {message}" if field else message


class InRecord:
    """Within this block the message of an `OMPError` names the record it is about."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OMPError):
            joint = "." if _LED_BY_FIELD.match(error.message) else ": "
            error.message = f"records[{self._number}]{joint}{error.message}"
            error.args = (error.message,)
