"""Times as other systems write them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from ..models import as_utc

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS_FROM = 1e11
"""Numbers from here on are milliseconds: as seconds they would be after the year 5138."""


def parse_time(value: object) -> datetime | None:
    """A time in UTC: of text in the forms of ISO 8601, or of seconds or milliseconds since 1970. None for none.

    A time without an offset is taken to be in UTC, a date to be its first moment.

    Raises:
        ValueError: it is no time, or not between the years 1 and 9999. The message tells it as of a subject.
    """
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return as_utc(value)
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError("is not a time such as 2026-01-31T12:00:00Z") from None
        return as_utc(moment)
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        seconds = value / 1000 if abs(value) >= _MILLISECONDS_FROM else value
        try:
            return _EPOCH + timedelta(seconds=seconds)
        except OverflowError:
            raise ValueError("is not between the years 1 and 9999") from None
    raise ValueError("is not a time such as 2026-01-31T12:00:00Z, or seconds since 1970")
