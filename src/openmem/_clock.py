"""Times in the order of writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

TICK = timedelta(microseconds=1)
"""The smallest difference of times that records keep."""


class IncreasingClock:
    """Gives each write a time of its own, also where the machine's clock stands still or is set back.

    Not for threads at once.
    """

    def __init__(self) -> None:
        self._last = datetime.min.replace(tzinfo=UTC)

    def next(self, now: datetime) -> datetime:
        """The time, later than at any call before.

        Args:
            now: the time by the machine's clock.
        """
        self._last = max(now, self._last + TICK)
        return self._last
