"""How often a backend is asked again, and how long to wait before."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

TRIES: Final = 3
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
GROWTH: Final = 4


class Tries:
    """The tries of one call.

    Args:
        count: how often the backend is asked at most.
        longest_pause: seconds that the backend may ask to wait; where it asks for more, there is no other try.
    """

    def __init__(self, count: int = TRIES, *, longest_pause: float = LONGEST_PAUSE) -> None:
        self._longest_pause = longest_pause
        self._pauses = _growing(count - 1)

    def pause(self, asked: float | None = None) -> float | None:
        """Seconds to wait before the next try; None if there should be none.

        Args:
            asked: seconds that the backend asked to wait, if it did.
        """
        pause = next(self._pauses, None)
        if pause is None or (asked is not None and asked > self._longest_pause):
            return None
        return max(pause, asked or 0.0)


def _growing(count: int) -> Iterator[float]:
    pause = FIRST_PAUSE
    for _ in range(count):
        yield random.uniform(pause / 2, pause)
        pause = min(pause * GROWTH, LONGEST_PAUSE)


def retry_after(header: str | None) -> float | None:
    """Seconds to wait, from a ``Retry-After`` header in either of its forms (RFC 9110, 10.2.3).

    None if there is no such header, or it makes no sense.
    """
    if header is None:
        return None
    try:
        seconds = float(header)
        return seconds if 0 <= seconds < math.inf else None
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
