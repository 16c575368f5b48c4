"""Days, months and years as texts of ISO 8601, and those that a phrase means on a given day.

``2023-09-09`` is a day, ``2023-09`` a month, ``2023`` a year; ``--09-09`` a day of every year and ``--09`` a month of
every year.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import MAXYEAR, date, timedelta
from typing import Final

Periods = tuple[str, ...]

MAX_PERIODS: Final = 14
"""How many days, months or years one phrase means at most. A longer time is named by longer units."""

_DAYS: Final = {"d": 1, "w": 7}


def day(year: int, month: int, day: int) -> Periods:
    """One day; nothing if there is no such day."""
    try:
        return (date(year, month, day).isoformat(),)
    except ValueError:
        return ()


def day_of_year(month: int, day: int) -> Periods:
    """A day of every year; nothing if there is no such day."""
    return (f"--{month:02}-{day:02}",) if 1 <= month <= 12 and 1 <= day <= _longest(month) else ()


def month(year: int, month: int) -> Periods:
    return (f"{year:04}-{month:02}",) if 1 <= month <= 12 and 1 <= year <= MAXYEAR else ()


def month_of_year(month: int) -> Periods:
    return (f"--{month:02}",)


def season(year: int, number: int) -> Periods:
    """The months of a season in the northern half of the world, from spring, 0. Of a winter the year may be either."""
    if number < 3:
        return tuple(f"{year:04}-{month:02}" for month in range(3 * number + 3, 3 * number + 6))
    return f"{year - 1:04}-12", f"{year:04}-01", f"{year:04}-02", f"{year:04}-12"


def season_by_step(today: date, number: int, steps: int) -> Periods:
    """The months of the season that is over (-1), of this year's (0) or of the one that is still to begin (1)."""
    month_now, first = 12 * today.year + today.month - 1, 12 * today.year + 3 * number + 2
    if steps == 0 and first - 10 >= month_now:
        first -= 12
    while steps < 0 and first + 2 >= month_now:
        first -= 12
    while steps > 0 and first <= month_now:
        first += 12
    return tuple(f"{month // 12:04}-{month % 12 + 1:02}" for month in range(first, first + 3))


def quarter(year: int, number: int) -> Periods:
    return tuple(f"{year:04}-{month:02}" for month in range(3 * number - 2, 3 * number + 1))


def offset(today: date, days: int) -> Periods:
    return ((today + timedelta(days)).isoformat(),)


def step(today: date, steps: int, unit: str) -> Periods:
    """What is meant by last (-1), this (0) or next (1) day, week, weekend, month or year."""
    match unit:
        case "d":
            return offset(today, steps)
        case "w" | "e":
            monday = today - timedelta(today.weekday() - 7 * steps)
            return _days(monday + timedelta(5 if unit == "e" else 0), monday + timedelta(6))
        case "m":
            return (_month(today, steps),)
        case _:
            return (_year(today, steps),)


def ago(today: date, count: int, unit: str) -> Periods:
    """What is so many units before today: a day, the days around a day some weeks ago, a month, or a year."""
    match unit:
        case "w" | "e":
            middle = today - timedelta(7 * count)
            return _days(middle - timedelta(3), middle + timedelta(3))
        case _:
            return step(today, -count, unit)


def recent(today: date, count: int, unit: str) -> Periods:
    """The last so many units up to today, in days, months or years, whichever are few enough."""
    if unit == "e":
        return tuple(one for steps in range(-count, 0) for one in step(today, steps, "e"))[-MAX_PERIODS:]
    days = count * _DAYS.get(unit, 99)
    if days <= MAX_PERIODS:
        return _days(today - timedelta(min(days, MAX_PERIODS - 1)), today)
    if unit == "y" and count > 1:
        return tuple(_year(today, -years) for years in range(min(count, MAX_PERIODS - 1), -1, -1))
    months = {"m": count, "y": 12}.get(unit, round(days / 30.4) + 1)
    if months < MAX_PERIODS:
        return tuple(_month(today, -steps) for steps in range(months, -1, -1))
    return recent(today, -(-months // 12), "y")


def few_ago(today: date, unit: str) -> Periods:
    """What is a few units before today."""
    if unit == "d":
        return _days(today - timedelta(7), today - timedelta(2))
    return recent(today, 5, unit)


def day_of_month(today: date, day: int) -> Periods:
    """The day of a month that was last and the one that is next."""
    days = [today + timedelta(steps) for steps in range(-60, 61)]
    found = [one for one in days if one.day == day]
    return tuple(
        one.isoformat()
        for one in ([one for one in found if one <= today][-1:] + [one for one in found if one > today][:1])
    )


def between(first: date, last: date) -> Periods:
    """The days from one to another; the months if there are too many days; nothing if there are too many months."""
    days = (last - first).days
    if 0 <= days < MAX_PERIODS:
        return _days(first, last)
    months = 12 * (last.year - first.year) + last.month - first.month
    return tuple(_month(first, steps) for steps in range(months + 1)) if 0 <= months < MAX_PERIODS else ()


def weekday(today: date, number: int, steps: int | None) -> Periods:
    """A weekday, from Monday, 0, as people mean it.

    Args:
        steps: -1 means the one before today or that of last week, 0 that of this week and if it is over the next, 1 the
            one after today or that of next week. None means the one before today and the one from today on.
    """
    before = today - timedelta((today.weekday() - number - 1) % 7 + 1)
    of_week = today + timedelta(number - today.weekday())
    match steps:
        case None:
            return offset(before, 0) + offset(before, 7)
        case 0:
            return offset(of_week, 0) + (offset(of_week, 7) if of_week < today else ())
        case 1:
            after = before + timedelta(7 if before + timedelta(7) > today else 14)
            return tuple(dict.fromkeys(offset(after, 0) + offset(of_week, 7)))
        case _:
            return tuple(dict.fromkeys(offset(before, 0) + offset(of_week, 7 * steps)))


def year_of(number: int) -> int:
    """A year as it is written: with two digits it is from 1970 to 2069, and from 2400 on it is of the Buddhist era."""
    if number < 100:
        return number + (2000 if number < 70 else 1900)
    return number - 543 if 2400 <= number < 2700 else number


def month_by_step(today: date, month: int, steps: int) -> Periods:
    """The month of this name that was last over (-1), of this year (0) or that is still to begin (1)."""
    year = today.year - (steps < 0 and month >= today.month) + (steps > 0 and month <= today.month)
    return (f"{year:04}-{month:02}",)


def nearest(today: date, month: int, day: int) -> Periods:
    """The day of a year that is the nearest to today."""
    near = _days_of_year(today, month, day)
    return tuple(one.isoformat() for one in sorted(near, key=lambda one: abs(one - today))[:1])


def passed_and_coming(today: date, period: str) -> Periods:
    """The day or the month of a year, such as ``--09-09``, that was last and that is next."""
    month = int(period[2:4])
    if len(period) > 4:
        near = _days_of_year(today, month, int(period[5:]))
        passed = [one.isoformat() for one in near if one <= today][-1:]
        return (*passed, *[one.isoformat() for one in near if one > today][:1])
    year = today.year - (month > today.month)
    return f"{year:04}-{month:02}", f"{year + 1:04}-{month:02}"


def _days_of_year(today: date, month: int, day: int) -> list[date]:
    """A day of the years around today, those in which there is one."""
    days = []
    for year in range(max(1, today.year - 1), min(MAXYEAR, today.year + 1) + 1):
        with suppress(ValueError):
            days.append(date(year, month, day))
    return days


def _days(first: date, last: date) -> Periods:
    return tuple((first + timedelta(days)).isoformat() for days in range((last - first).days + 1))


def _month(today: date, steps: int) -> str:
    years, month = divmod(12 * today.year + today.month - 1 + steps, 12)
    if not 1 <= years <= MAXYEAR:
        raise OverflowError("no such year")
    return f"{years:04}-{month + 1:02}"


def _year(today: date, steps: int) -> str:
    year = today.year + steps
    if not 1 <= year <= MAXYEAR:
        raise OverflowError("no such year")
    return f"{year:04}"


def _longest(month: int) -> int:
    return 29 if month == 2 else 30 if month in {4, 6, 9, 11} else 31
