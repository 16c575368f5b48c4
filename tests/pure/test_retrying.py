"""How often a backend is asked again, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from openmem._retrying import LONGEST_DELAY_SECONDS, TRIES, Backoff, retry_after


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("-3", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("1e999", None),
        ("Wed, 21 Oct 99999999999999999999 07:28:00 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00 +9999999999", None),
        (None, None),
    ],
)
def test_the_header(header: str | None, seconds: float | None) -> None:
    assert retry_after(header) == seconds


def test_the_header_as_a_date() -> None:
    moment = datetime.now(UTC) + timedelta(seconds=30)
    assert retry_after(format_datetime(moment)) == pytest.approx(30, abs=2)


def test_pauses_grow_and_end() -> None:
    backoff = Backoff()
    pauses = [backoff.next_delay() for _ in range(TRIES)]
    assert pauses.pop() is None
    assert all(pause is not None for pause in pauses)
    first, second = (pause or 0.0 for pause in pauses)
    assert 0.05 <= first <= 0.1
    assert 0.2 <= second <= 0.4


def test_one_try_has_no_pause() -> None:
    assert Backoff(1).next_delay() is None


def test_what_is_asked_for_is_granted_within_a_bound() -> None:
    assert Backoff().next_delay(2.5) == 2.5
    assert Backoff().next_delay(0.0) is not None
    assert Backoff().next_delay(LONGEST_DELAY_SECONDS + 1) is None
    assert Backoff(longest_delay=60.0).next_delay(59.0) == 59.0
    assert Backoff(longest_delay=60.0).next_delay(61.0) is None


def test_pauses_do_not_grow_without_end() -> None:
    backoff = Backoff(20, longest_delay=60.0)
    pauses = [backoff.next_delay() or 0.0 for _ in range(19)]
    assert max(pauses) <= LONGEST_DELAY_SECONDS
