"""Times as people write them: a moment, or how far from now it is."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from ._text import quoted

_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes"}


def read_moment(text: str, now: datetime, *, is_past: bool = False, zone: tzinfo = UTC) -> datetime:
    """The moment that a text says, timezone-aware.

    Args:
        text: a time in ISO 8601, such as ``2027-01-31``, which is in `zone` unless it has an offset; a distance from
            now, such as ``90d``, ``12h`` or ``30m``; or ``now``.
        now: the time in UTC.
        is_past: whether a distance goes back from now.
        zone: the time zone of times without an offset.

    Raises:
        ValueError: it says none.
    """
    if match := re.fullmatch(r"([0-9]{1,5})([dhm])", text):
        distance = timedelta(**{_UNITS[match[2]]: int(match[1])})
        return now.replace(microsecond=0) + (-distance if is_past else distance)
    if text == "now":
        return now
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{quoted(text)} is not a time such as 90d, 12h or 2027-01-31") from None
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment
