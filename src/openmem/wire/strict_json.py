"""JSON as a client sends it, with every ambiguity refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

Json: TypeAlias = Any


def read_json(text: str) -> Json:
    """The value that a JSON text stands for.

    Raises:
        ValueError: it is no JSON, an object has a key twice, or it is nested too deeply. The message tells it as
            of a subject, as in ``is not valid JSON: …``.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"is not valid JSON: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"an object has the key {name[:80]!r} twice")
            seen.add(name)
    return members


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")
