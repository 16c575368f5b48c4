"""Time zones by name and as objects."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from datetime import timezone as fixed_offset
from zoneinfo import ZoneInfo

from ._text import check_text, quoted


def time_zone(value: object) -> tzinfo:
    """A time zone by its name in the IANA database or by its offset from UTC, such as ``+02:00``; an object as it is.

    Raises:
        ValueError: there is no such time zone.
    """
    if isinstance(value, tzinfo):
        return value
    try:
        name = check_text(value) if isinstance(value, str) else ""
        if name.startswith(("+", "-")):
            return fixed_offset(datetime.strptime(name, "%z").utcoffset() or UTC.utcoffset(None))
        return UTC if name == "UTC" else ZoneInfo(name)
    except (LookupError, OSError, TypeError, ValueError):
        raise ValueError(f"{quoted(value)} is no time zone, such as 'Europe/Lisbon'") from None


def name_of(zone: tzinfo) -> str:
    """The name by which `time_zone` knows a time zone.

    Raises:
        ValueError: it has none.
    """
    if isinstance(zone, ZoneInfo) and zone.key:
        return zone.key
    if isinstance(zone, fixed_offset):
        return str(zone).removeprefix("UTC") or "UTC"
    raise ValueError(f"{type(zone).__name__} has no name; pass a name such as 'Europe/Lisbon'")
