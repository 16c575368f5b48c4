"""Times that tell the order of what was written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from openmem._clock import IncreasingClock

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def test_each_time_is_later_than_the_one_before_whatever_the_clock_of_the_machine_does() -> None:
    clock = IncreasingClock()
    readings = [NOW, NOW, NOW - timedelta(days=1), NOW + TICK, NOW + timedelta(hours=1)]
    assert [clock.next(now) for now in readings] == [
        NOW,
        NOW + TICK,
        NOW + 2 * TICK,
        NOW + 3 * TICK,
        NOW + timedelta(hours=1),
    ]
