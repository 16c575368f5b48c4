"""JSON in the one form of RFC 8785, of which digests are made."""

from __future__ import annotations

import json
import math
from typing import Any


def canonical(value: Any) -> str:
    """The text of a JSON value, with keys in order and numbers as ECMAScript writes them.

    Raises:
        ValueError: a number is not finite.
    """
    match value:
        case dict():
            members = sorted(value.items(), key=lambda member: str(member[0]).encode("utf-16-be", "surrogatepass"))
            return "{" + ",".join(f"{_text(str(name))}:{canonical(item)}" for name, item in members) + "}"
        case list() | tuple():
            return "[" + ",".join(map(canonical, value)) + "]"
        case str():
            return _text(value)
        case bool() | None:
            return json.dumps(value)
        case int():
            return str(value) if abs(value) < 2**53 else _number(float(value))
    return _number(float(value))


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _number(number: float) -> str:
    if not math.isfinite(number):
        raise ValueError(f"{number} is not a JSON number")
    if number == 0:
        return "0"
    sign, shortest = ("-" if number < 0 else ""), repr(abs(number))
    mantissa, _, exponent = shortest.partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if 0 < point <= 21:
        text = digits.ljust(point, "0") if len(digits) <= point else f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        text = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "") + f"e{point - 1:+d}"
    return sign + text
