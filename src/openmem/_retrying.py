"""How often a backend is asked again, and how long to wait before."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

TRIES: Final = 3
FIRST_DELAY_SECONDS: Final = 0.1
LONGEST_DELAY_SECONDS: Final = 5.0
GROWTH: Final = 4


class Backoff:
    """How long to wait before each further try of one call.

    Args:
        count: how often the backend is asked at most.
        longest_delay: seconds that the backend may ask to wait; where it asks for more, there is no other try.
    """

    def __init__(self, count: int = TRIES, *, longest_delay: float = LONGEST_DELAY_SECONDS) -> None:
        self._longest_delay = longest_delay
        self._delays = _growing(count - 1)

    def next_delay(self, asked: float | None = None) -> float | None:
        """Seconds to wait before the next try; None if there should be none.

        Args:
            asked: seconds that the backend asked to wait, if it did.
        """
        delay = next(self._delays, None)
        if delay is None or (asked is not None and asked > self._longest_delay):
            return None
        return max(delay, asked or 0.0)


def _growing(count: int) -> Iterator[float]:
    delay = FIRST_DELAY_SECONDS
    for _ in range(count):
        yield random.uniform(delay / 2, delay)
        delay = min(delay * GROWTH, LONGEST_DELAY_SECONDS)


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
