"""The JSON of a server's reply, which is trusted as little as the server."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any, Final, NoReturn, TypeAlias

Json: TypeAlias = Any

MAX_REPLY_DEPTH: Final = 64
_ESCAPED_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


def parse_json(content: bytes) -> Json:
    """The JSON of a reply.

    Raises:
        ValueError: it is no JSON, or none that could be sent on: nested too deeply, with text that UTF-8 cannot
            hold, or numbers beyond those of JSON.
    """
    try:
        parsed = json.loads(content.decode("utf-8-sig"), parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError:
        raise ValueError("is not JSON") from None
    if not _is_shallow(parsed, MAX_REPLY_DEPTH):
        raise ValueError("is nested too deeply")
    if _ESCAPED_SURROGATE.search(content):
        try:
            json.dumps(parsed, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("holds a lone surrogate") from None
    return parsed


def _finite(literal: str) -> float:
    number = float(literal)
    return number if math.isfinite(number) else _no_number(literal)


def _no_number(literal: str) -> NoReturn:
    raise ValueError(literal)


def _is_shallow(value: Json, levels: int) -> bool:
    """Whether objects and lists are nested in at most so many levels."""
    match value:
        case dict():
            items: Iterable[Json] = value.values()
        case list():
            items = value
        case _:
            return True
    return levels > 0 and all(_is_shallow(item, levels - 1) for item in items if isinstance(item, dict | list))
