"""The form of a memory: what its fields hold, and what they say. Of one that is there, only changes are written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any, Final

from ..errors import InvalidRequestError
from ..models import MemoryRecord
from .forms import Values
from .rendering import local_text, pretty_json

TIMES: Final = ("valid_from", "valid_to", "expires_at")

NO_FIELDS: Final[Mapping[str, str | Sequence[str]]] = {
    **dict.fromkeys(("content", "scope", "confidence", "metadata", *TIMES), ""),
    "tags": (),
}
"""What the fields of the form of a new memory hold."""

_LINE_BREAK: Final = re.compile("\r\n|\r|\n")


def shown_fields(memory: MemoryRecord, zone: tzinfo) -> dict[str, str | Sequence[str]]:
    """What the fields of the form hold at first, by their names."""
    return {
        "content": memory.content,
        "scope": memory.scope or "",
        "tags": memory.tags or (),
        "confidence": "" if memory.confidence is None else f"{memory.confidence:g}",
        "metadata": "" if memory.metadata is None else pretty_json(memory.metadata),
        **{name: local_text(getattr(memory, name), zone) for name in TIMES},
    }


def typed_fields(form: Values) -> dict[str, str | Sequence[str]]:
    """What somebody has typed into the fields, for a form that is shown again."""
    return {name: form.many(name) if name == "tags" else "".join(form.many(name)) for name in NO_FIELDS}


def given_fields(form: Values, zone: tzinfo) -> Mapping[str, Any]:
    """The fields of a new memory, as arguments of `add`; those that are empty are left out.

    Raises:
        InvalidRequestError: a field is not written as it should be.
    """
    confidence = form.one("confidence")
    given = {
        "scope": form.one("scope"),
        "tags": list(form.many("tags")) or None,
        "confidence": None if confidence is None else _fraction(confidence),
        "metadata": form.json("metadata"),
        **{name: form.moment(name, zone) for name in TIMES},
    }
    return {
        "content": _lines(form.one("content") or ""),
        **{name: value for name, value in given.items() if value is not None},
    }


def changed_fields(memory: MemoryRecord, form: Values, zone: tzinfo) -> Mapping[str, Any]:
    """The fields of the memory that the form changes, as arguments of `update`.

    Browsers have their own line breaks, none in fields of one line, and times to the second: what differs in nothing
    else is not changed.

    Raises:
        InvalidRequestError: a field is not written as it should be.
    """
    changes: dict[str, Any] = {}
    content = form.one("content") or ""
    if _lines(content) != _lines(memory.content):
        changes["content"] = _lines(content)
    scope = form.one("scope")
    if scope != (_line(memory.scope or "") or None):
        changes["scope"] = scope
    tags = form.many("tags")
    if list(tags) != [_line(tag) for tag in memory.tags or ()]:
        changes["tags"] = list(tags) or None
    before = shown_fields(memory, zone)
    if (confidence := form.one("confidence")) != (before["confidence"] or None):
        changes["confidence"] = None if confidence is None else _fraction(confidence)
    if _lines(form.one("metadata") or "") != before["metadata"]:
        changes["metadata"] = form.json("metadata")
    for name in TIMES:
        moment, old = form.moment(name, zone), getattr(memory, name)
        # In one zone, times compare as clocks show them, as in the field.
        if moment != (None if old is None else old.astimezone(zone).replace(microsecond=0)):
            changes[name] = moment
    return changes


def _fraction(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidRequestError("confidence: it is not a number from 0 to 1") from None


def _lines(text: str) -> str:
    return _LINE_BREAK.sub("\n", text)


def _line(text: str) -> str:
    return _LINE_BREAK.sub("", text)
