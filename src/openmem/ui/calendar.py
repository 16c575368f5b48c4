"""Moments counted by days, weeks, months, years or centuries, for pictures over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Final, Literal

MAX_COLUMNS: Final = 62
OTHERS: Final = "others"

Unit = Literal["day", "week", "month", "year", "century"]


@dataclass(frozen=True, slots=True)
class Chart:
    """Numbers over time.

    Attributes:
        unit: what a column is.
        labels: of the columns, in order.
        names: of the series, the greatest first; the last may stand for all others.
        numbers: of each series, one for each column.
    """

    unit: Unit
    labels: Sequence[str]
    names: Sequence[str]
    numbers: Sequence[Sequence[int]]

    @property
    def rows(self) -> list[tuple[str, Sequence[int]]]:
        """The columns that are not empty, as rows of a table."""
        rows = zip(self.labels, zip(*self.numbers, strict=True), strict=True)
        return [(label, row) for label, row in rows if any(row)]


def chart_of(moments: Iterable[tuple[datetime, str]], zone: tzinfo, most: int) -> Chart | None:
    """How many there are over time, by their names; None of nothing.

    Args:
        moments: each with its name.
        zone: in which days begin and end.
        most: how many series there are at most.
    """
    days = [(_day(moment, zone), name) for moment, name in moments]
    if not days:
        return None
    counts = Counter(name for _, name in days)
    names = [name for name, _ in counts.most_common(most)]
    if len(counts) > most:
        names = [*names[: most - 1], OTHERS]
    first, last = min(day for day, _ in days), max(day for day, _ in days)
    unit = _unit(first, last)
    columns = _columns(first, last, unit)
    at = {start: number for number, start in enumerate(columns)}
    numbers = [[0] * len(columns) for _ in names]
    known = {name: index for index, name in enumerate(names)}
    for day, name in days:
        numbers[known.get(name, len(names) - 1)][at[_start(day, unit)]] += 1
    return Chart(unit, [_label(start, unit) for start in columns], names, numbers)


def _day(moment: datetime, zone: tzinfo) -> date:
    try:
        return moment.astimezone(zone).date()
    except OverflowError:
        return moment.date()


def _unit(first: date, last: date) -> Unit:
    length = (last - first).days
    units: tuple[tuple[Unit, int], ...] = (("day", 1), ("week", 7), ("month", 31), ("year", 366))
    return next((unit for unit, days in units if length / days < MAX_COLUMNS - 1), "century")


def _start(day: date, unit: Unit) -> date:
    match unit:
        case "day":
            return day
        case "week":
            return date.fromordinal(max(1, day.toordinal() - day.weekday()))
        case "month":
            return day.replace(day=1)
        case "year":
            return date(day.year, 1, 1)
        case "century":
            return date(max(1, day.year // 100 * 100), 1, 1)


def _columns(first: date, last: date, unit: Unit) -> list[date]:
    """The starts of all columns."""
    start, end = _start(first, unit), _start(last, unit)
    if unit in ("year", "century"):
        step = 1 if unit == "year" else 100
        return [date(max(1, year), 1, 1) for year in range(start.year // step * step, end.year + 1, step)]
    if unit == "month":
        months = range(12 * start.year + start.month - 1, 12 * end.year + end.month)
        return [date(month // 12, month % 12 + 1, 1) for month in months]
    days = 1 if unit == "day" else 7
    return [date.fromordinal(day) for day in range(start.toordinal(), end.toordinal() + 1, days)]


def _label(start: date, unit: Unit) -> str:
    return start.isoformat()[: {"day": 10, "week": 10, "month": 7, "year": 4, "century": 4}[unit]]
