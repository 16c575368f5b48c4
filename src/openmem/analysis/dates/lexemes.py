"""Dates as lexemes: those of a memory, and the words of a query that are compared with them.

A memory of 9 September 2023 has the lexemes ``2023-09-09``, ``--09-09``, ``---09``, ``2023-09``, ``--09`` and ``2023``.
Rows of older stores have ``9``, ``septemb`` and ``2023`` instead, which are alternatives in queries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final

from ..terms import QueryWord
from .periods import Periods, nearest, passed_and_coming

_STEMS: Final = (
    "januari", "februari", "march", "april", "may", "june", "juli", "august", "septemb", "octob", "novemb", "decemb",
)  # fmt: skip
_LATEST_WEIGHT: Final = 0.5


def lexemes_of(periods: Iterable[str], today: date | None = None) -> Iterator[str]:
    """The lexemes of a memory for a date that it is from or names.

    Args:
        today: the day to which a date without a year is near; None to leave the year open.
    """
    for period in periods:
        yield period
        year, month, day = _parts(period)
        if month:
            yield f"--{month}"
        if day:
            yield f"---{day}"
            yield f"--{month}-{day}"
        if year and month:
            yield f"{year}-{month}"
        if year:
            yield year
        elif day and today is not None:
            yield from nearest(today, int(month), int(day))


def query_words(periods: Periods, today: date, spelled: Iterable[str] = ()) -> Iterator[QueryWord]:
    """The words of a query that names a date: the date as a whole, and its day, month and year by themselves.

    Args:
        periods: what the query may mean. A memory of any of these has the word.
        today: the day on which it is asked. Of a date without a year, the one last passed and the next are preferred.
        spelled: lexemes of the date as it is spelled, where that may mean something else.
    """
    parts = [_parts(period) for period in periods]
    days = _unique(day for _, _, day in parts if day)
    months = _unique(month for _, month, _ in parts if month)
    years = _unique(year for year, _, _ in parts if year)
    names_of_months = [name for month in months for name in (f"--{month}", _STEMS[int(month) - 1])]
    is_month_of_year = months and not days and not years
    yield QueryWord(_unique((*periods, *(names_of_months if is_month_of_year else ()), *spelled)))
    if latest := _unique(one for period in periods if not years for one in passed_and_coming(today, period)):
        yield QueryWord(latest, _LATEST_WEIGHT)
    if 1 <= len(days) <= 2:
        yield QueryWord(tuple(name for day in days for name in (f"---{day}", str(int(day)))))
    if months and not is_month_of_year:
        yield QueryWord(tuple(names_of_months))
    if years and months:
        yield QueryWord(years)


def _parts(period: str) -> tuple[str, str, str]:
    """The year, the month and the day of a period, each empty if the period leaves it open."""
    year, month, day = (*period.replace("--", "-", 1).split("-"), "", "")[:3]
    return year, month, day


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
