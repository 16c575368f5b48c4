"""From one object of a foreign format to a record, such that nothing of the object gets lost.

`Fields` gives each field of the object at most once. What nobody takes, and what is not of the type that is asked for,
is left over, and becomes the extension ``x-<format>`` of the record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ...operations.fields import MAX_METADATA_BYTES, MAX_TAGS
from ..records import Loss, Place, Problem, SourceRecord, digest_id
from ..times import parse_time

MAX_NAME: Final = 512
_SAYS_ALL: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]00:?00)")
_IN_NO_SCOPE: Final = re.compile(r"[*/\0\ud800-\udfff]")


class Fields:
    """The fields of one object, each of which can be taken once.

    Args:
        row: the object.

    Attributes:
        left: what nobody has taken yet, without nulls.
    """

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.left = {name: value for name, value in row.items() if value is not None}

    def text(self, *names: str) -> str | None:
        """The first of these fields that is text, and not blank."""
        for name in names:
            value = self.left.get(name)
            if isinstance(value, str) and value.strip():
                del self.left[name]
                return value
        return None

    def name(self, *names: str) -> str | None:
        """The first of these fields that can be the name of a user or a memory: text, or a whole number."""
        for name in names:
            value = self.left.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                value = str(value)
            if is_name(value):
                del self.left[name]
                return str(value)
        return None

    def time(self, *names: str) -> datetime | None:
        """The first of these fields that is a time.

        The field stays with what is left if the time in UTC does not say all that it says: an offset, that there is
        none, a date alone, or a fraction below a microsecond.
        """
        for name in names:
            value = self.left.get(name)
            moment = time_of(value)
            if moment is not None:
                if _says_all(value, moment):
                    del self.left[name]
                return moment
        return None

    def share(self, *names: str) -> float | None:
        """The first of these fields that is a number from 0 to 1."""
        for name in names:
            value = self.left.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
                del self.left[name]
                return float(value)
        return None

    def tags(self, *names: str) -> list[str]:
        """Those of these fields that are lists of tags, as one list without repetitions."""
        found: list[str] = []
        for name in names:
            value = self.left.get(name)
            if isinstance(value, list) and all(map(is_name, value)) and len(value) + len(found) <= MAX_TAGS:
                found += self.left.pop(name)
        return list(dict.fromkeys(found))

    def object(self, name: str) -> dict[str, Any]:
        """The field if it is an object, else an empty one."""
        value = self.left.get(name)
        return dict(self.left.pop(name)) if isinstance(value, dict) else {}

    def metadata(self, name: str = "metadata") -> dict[str, Any]:
        """The field if it is an object that a memory can have as metadata, else an empty one."""
        value = self.left.get(name)
        if not isinstance(value, dict) or not fits_metadata(value):
            return {}
        return dict(self.left.pop(name))

    def list(self, *names: str) -> list[Any]:
        """The first of these fields that is a list, else an empty one."""
        for name in names:
            value = self.left.get(name)
            if isinstance(value, list):
                return list(self.left.pop(name))
        return []

    def drop(self, *names: str) -> None:
        """Leave out these fields, which can be computed again, or must not be kept."""
        for name in names:
            self.left.pop(name, None)


def record(
    format: str,
    fields: Fields,
    place: Place,
    content: str | None,
    *,
    source_id: str | None,
    user_id: str | None,
    losses: Sequence[Loss] = (),
    store: str = "",
    **protocol: Any,
) -> SourceRecord | Problem:
    """The record of what was taken from an object, with the rest as an extension.

    Args:
        source_id: by default a digest of the record.
        protocol: fields of the protocol; those that are None or empty are left out.
    """
    if content is None or not content.strip():
        return Problem("has no text", place, source_id=source_id)
    given = {
        name: value
        for name, value in protocol.items()
        if value is not None and (name.startswith("x-") or value not in ([], {}))
    }
    begins, ends = given.get("valid_from"), given.get("valid_to")
    if begins is not None and ends is not None and ends < begins:
        del given["valid_from"]
        fields.left.setdefault("valid_from", begins.isoformat())
    if fields.left:
        given[f"x-{format}"] = fields.left
    given["content"] = content
    if source_id is None:
        told = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in given.items()}
        source_id = digest_id([user_id, told])
    return SourceRecord(source_id, user_id, given, place, tuple(losses), store)


def imported_from(app: object, source_id: str | None) -> dict[str, Any] | None:
    """The source of a memory that an application stored, which the format names; None if it does not."""
    return {"app": app, "type": "imported", "ref": source_id} if is_name(app) else None


def is_name(value: object) -> bool:
    """Whether it can be a tag, or the name of a user."""
    return isinstance(value, str) and bool(value.strip()) and len(value) <= MAX_NAME


def names_of(values: Iterable[object]) -> list[str]:
    """Those of the values that can be tags, each once, as many as a memory can have."""
    return list(dict.fromkeys(str(value) for value in values if is_name(value)))[:MAX_TAGS]


def fits_metadata(value: Mapping[str, Any]) -> bool:
    """Whether a memory can have it as metadata."""
    return (
        len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")) <= MAX_METADATA_BYTES
    )


def time_of(value: object) -> datetime | None:
    """The time that a value of a source stands for; None if it stands for none."""
    try:
        return parse_time(value)
    except ValueError:
        return None


def end_of_day(moment: datetime | None) -> datetime | None:
    """The end of the day, in UTC, that an expiration date includes."""
    try:
        return None if moment is None else datetime(moment.year, moment.month, moment.day, tzinfo=UTC) + timedelta(1)
    except OverflowError:
        return None


def earliest(*moments: datetime | None) -> datetime | None:
    """The earliest of those that are given."""
    return min((moment for moment in moments if moment is not None), default=None)


def scope_of(*parts: object) -> str | None:
    """A scope of these parts without those that are blank or no text. What a scope cannot have becomes ``-``."""
    texts = [_IN_NO_SCOPE.sub("-", part).strip() for part in parts if isinstance(part, str)]
    return "/".join(filter(None, texts))[:MAX_NAME].strip("/ ") or None


def _says_all(value: object, moment: datetime) -> bool:
    if isinstance(value, str):
        return _SAYS_ALL.fullmatch(value) is not None
    return isinstance(value, int | float) and moment.timestamp() == value
