"""Finds the dates that a text names.

A text is cut into tokens. Each gets a letter that says what it may mean, such as ``M`` for a month's name, and patterns
over the letters say which of them are dates. So one pattern reads "last week", "letzte Woche" and "прошлой неделе".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date
from functools import cache
from typing import Any, Final, NamedTuple

from . import periods
from .periods import Periods
from .tokens import Token, runs
from .unspaced import HINT, periods_of, unspaced
from .vocabulary import several


class Mention(NamedTuple):
    """A date that a text names.

    Attributes:
        start, end: where it stands in the text.
        periods: what it may mean, as `periods` writes days, months and years.
        is_spelled: whether its words may also mean something else, as "Friday" in "Good Friday".
        is_relative: whether it depends on today.
    """

    start: int
    end: int
    periods: Periods
    is_spelled: bool = False
    is_relative: bool = False

    @property
    def is_vague(self) -> bool:
        """Whether it is relative and not one day."""
        return self.is_relative and (self.is_spelled or len(self.periods) > 1 or len(self.periods[0]) < 10)


_W: Final = r"(?:[Ww]\.?,?c?)?"
_DASH: Final = r"[-\u2013\u2014Pc]"
_PATTERNS: Final = (
    ("range", "PcN", rf"[Pc]?N\.?{_DASH}N\.?c{{0,2}}[Mem]\.?(?:,?c{{0,2}}Y)?"),
    ("range", "Me", rf"[Me]\.?N{_DASH}N(?:,?c?Y)?"),
    ("date", "WwD", rf"{_W}D"),
    ("date", "WwN", rf"{_W}N\.?c{{0,2}}[Mem]\.?(?:,?c{{0,2}}Y|['\u2019]N)?"),
    ("date", "WwN", rf"{_W}N\.?c{{0,2}}x\.?,?c{{0,2}}Y"),
    ("date", "N", r"N-[Mem]-[YN]"),
    ("date", "t", r"tc{0,2}[Mem]\.?(?:,?c{0,2}Y)?"),
    ("date", "WwMe", rf"{_W}[Me]\.?c?N(?:,?c?Y)?"),
    ("date", "Y", r"Y[.,]?c?M\.?N?\.?"),
    ("date", "Memx", r"[Memx]\.?[,-]?c{0,2}Y|[Me]['\u2019]N"),
    ("vietnamese", "U", r"UNUN(?:UY)?|UNUY"),
    ("day", "Pc", r"[Pc]d"),
    ("day_of_month", "P", r"P(?:cN|N\.)(?!\.?,?c{0,2}[MemxU\d/-])"),
    ("month_by_step", "RMem", r"R[Mem]|[Mem]R"),
    ("season", "SR", r"S,?c{0,2}Y|S['\u2019]N|RS|SR"),
    ("quarter", "QYNtR", r"Q[/,]?c{0,2}Y|YQ|(?:N\.?|t)Qc{0,2}Y|RQ|QR"),
    ("few", "fnB", r"n?fc?U[AR]|Bn?fc?U"),
    ("ago", "NnPBU", r"[NnP]c?U[ABR]|Bc?[Nn]?c?U|UA"),
    ("recent", "RpNnU", r"[Rp][Nn]U|[Nn][Rp]U|pU|U[Nn]R"),
    ("step", "RU", r"RU|UR"),
    ("weekday", "RW", r"RW|WR|W"),
    ("part_of_day", "R", r"RT"),
    ("offset", "O", r"O"),
    ("month", "PM", r"P[Mem](?!\.?c?[NY])|M"),
)


@cache
def _patterns_of(kind: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """The patterns of dates that begin with a kind of token."""
    return tuple((name, re.compile(pattern)) for name, kinds, pattern in _PATTERNS if kind in kinds)


_FRENCH: Final = re.compile(
    r"\b(?:(?:qu|j|l|d|c|n|s)['\u2019]|que|quoi|qui|où|quel|quelle|le|les|ai|avec|fait|soir|matin|nous|vous|au)", re.I
)
_MORNING: Final = several("before a morning")
_BEFORE_DAYS: Final = several("before a day in numbers")
_DAY_OF_MONTH: Final = re.compile(r"on the \d\d?(?:st|nd|rd|th)|am \d\d?\.", re.IGNORECASE)
_DAY_LENGTH: Final = len("2023-09-09")
_ENGLISH_STEPS: Final = several("english steps")
_ENGLISH_UNITS: Final = several("english units")
_BEYOND_LATIN: Final = "\u0250"
_PLURALS: Final = several("plural units")
_UNTIL: Final = several("until")
_AND: Final = several("and")
_BETWEEN: Final = re.compile(rf"\b(?:{'|'.join(several('between'))})\b", re.IGNORECASE)


def mentions(text: str, today: date) -> list[Mention]:
    """The dates that a text names, in order of appearance."""
    found: list[Mention] = []
    is_unspaced = not text.isascii() and HINT.search(text) is not None
    if is_unspaced:
        for match in unspaced().finditer(text):
            with suppress(OverflowError, ValueError):
                meant, is_relative = periods_of(match, today)
                if meant:
                    found.append(Mention(*match.span(), meant, match.lastgroup == "weekday", is_relative))
        text = without(text, found)
    for run in runs(text, is_unspaced):
        found.extend(_spaced(run, today, text))
    return sorted(found)


def without(text: str, found: Sequence[Mention]) -> str:
    """A text with spaces in the place of mentions."""
    pieces: list[str] = []
    position = 0
    for mention in found:
        pieces += text[position : mention.start], " " * (mention.end - mention.start)
        position = mention.end
    return "".join((*pieces, text[position:]))


def mentions_of_query(text: str, today: date) -> list[Mention]:
    """The dates that a query names. Two days with a word for "until" between them are one mention of all days between.

    Phrases such as "last week" do not count beside a date with its year, since they may be relative to that.
    """
    named = mentions(text, today)
    if not named:
        return []
    found: list[Mention] = []
    for mention in named:
        if found and (days := _until(found[-1], mention, text)):
            mention = Mention(found.pop().start, mention.end, days)
        found.append(mention)
    has_year = any(not mention.is_relative and not mention.periods[0].startswith("-") for mention in found)
    return [mention for mention in found if not (has_year and mention.is_relative)]


def _until(first: Mention, last: Mention, text: str) -> Periods:
    """The days from one mention to the next, if the text names them so."""
    one, other = first.periods[0], last.periods[0]
    if len(first.periods + last.periods) > 2 or len(other) != _DAY_LENGTH or first.is_relative or last.is_relative:
        return ()
    word = text[first.end : last.start].strip().lower()
    if not (word in _UNTIL or (word in _AND and _BETWEEN.search(text, max(0, first.start - 12), first.start))):
        return ()
    with suppress(ValueError):
        return periods.between(
            date.fromisoformat(one if len(one) == _DAY_LENGTH else other[:4] + one[1:]), date.fromisoformat(other)
        )
    return ()


def _spaced(tokens: Sequence[Token], today: date, text: str) -> Iterator[Mention]:
    kinds = "".join(token.kind for token in tokens)
    position = 0
    while position < len(kinds):
        step = 1
        for name, pattern in _patterns_of(kinds[position]):
            if match := pattern.match(kinds, position):
                part = tokens[position : match.end()]
                with suppress(OverflowError, ValueError):
                    if mention := _read(name, part, tokens, position, today, text):
                        yield mention
                        step = len(part)
                        break
        position += step


def _first(part: Sequence[Token], kinds: str) -> Any:
    """The value of the first token of one of some kinds; None without one."""
    return next((token.value for token in part if token.kind in kinds), None)


def _read(
    name: str, part: Sequence[Token], tokens: Sequence[Token], position: int, today: date, text: str
) -> Mention | None:
    """The date that some tokens name by a pattern; None if they do not."""
    meant: Periods = ()
    start, end, spelled, relative = (
        part[0].start,
        part[-1].end,
        False,
        name not in _WRITTEN and _first(part, "Y") is None,
    )
    count, unit = _first(part, "Nnt") or 1, _first(part, "U")
    steps, month, year = _first(part, "R"), _first(part, "Memx"), _first(part, "Y")
    if not _agree(part):
        return None
    match name:
        case "date":
            meant, spelled = _written(part, month, year), part[-1].word.isdecimal() and len(part[-1].word) == 8
            lower_may = part[0].word == "may" and part[-1].kind == "N"
            if lower_may and position + len(part) < len(tokens) and tokens[position + len(part)].kind not in "Pc.,":
                return None
        case "range":
            meant = _range(part, month, year)
        case "vietnamese":
            words = [token.word.lower() for token in part if token.kind == "U"]
            if words[:2] == ["ngày", "tháng"]:
                meant = _day(year, part[3].value, part[1].value)
            elif words[0] == "tháng" and year:
                meant = periods.month(year, part[1].value)
        case "day":
            day = re.split(r"[/.]", part[1].word.replace(" ", ""))
            if part[0].word.lower() in _BEFORE_DAYS:
                one, two = int(day[0]), int(day[1])
                meant = periods.day_of_year(two, one) + (periods.day_of_year(one, two) if len(day) == 2 else ())
                meant, start = tuple(dict.fromkeys(meant)), part[1].start
        case "day_of_month":
            if _DAY_OF_MONTH.fullmatch(text, start, end):
                meant = periods.day_of_month(today, count)
        case "month_by_step":
            if steps or not any(token.word == "may" for token in part):
                meant = periods.month_by_step(today, month, steps)
        case "season":
            number, spelled = _first(part, "S"), True
            year = year or (part[-1].kind == "N" and periods.year_of(count)) or None
            meant = periods.season(year, number) if year else periods.season_by_step(today, number, steps)
        case "quarter":
            number = _first(part, "Q") or _first(part, "Nt")
            if number and number <= 4 and (year or steps is not None):
                meant = periods.quarter(year or today.year + steps, number)
            elif steps is not None and not number:
                quarters = 4 * today.year + (today.month - 1) // 3 + steps
                meant = periods.quarter(quarters // 4, quarters % 4 + 1)
        case "few":
            meant = periods.few_ago(today, unit)
        case "ago":
            if part[0].kind == "P":
                count = 2 if part[0].word.lower() == "to" else 0
            elif (part[0].kind == "U" and part[0].word.lower() in _PLURALS) or (
                part[-1].kind == "B" and part[-1].word < _BEYOND_LATIN
            ):
                count = 0
            if part[0].kind == "n" and count == 1 and steps is not None:
                meant = periods.step(today, steps, unit)
            elif count and steps in {None, -1}:
                meant = periods.ago(today, count, unit)
        case "recent":
            meant = periods.recent(today, count, unit) if (steps or -1) < 0 else ()
        case "step":
            if not any(token.word.lower() in _PLURALS for token in part):
                meant = periods.step(today, steps, unit)
        case "weekday":
            meant, spelled = periods.weekday(today, _first(part, "W"), steps), True
        case "part_of_day":
            meant = periods.offset(today, steps) + (periods.offset(today, 0) if steps < 0 else ())
        case "offset":
            meant = _offset(part[0], tokens[position - 1].word.lower() if position else "", today, text)
        case "month":
            meant, start, spelled = periods.month_of_year(month), part[-1].start, True
            if part[-1].word.lower() in {"mar", "marco"}:
                return None
    return Mention(start, end, meant, spelled, relative) if meant else None


_WRITTEN: Final = frozenset({"date", "range", "vietnamese", "day", "month"})


def _agree(part: Sequence[Token]) -> bool:
    """Whether a word such as "this" and a unit of time after it may be of one language: "last tag" is not."""
    words = [token.word.lower() for token in part if token.kind in "RpUS"]
    is_english = [word in _ENGLISH_STEPS for word in words]
    if any(is_english):
        return is_english[0] and all(word in _ENGLISH_UNITS for word in words[1:])
    return words[-1:] != ["fall"] or len(words) == 1


def _written(part: Sequence[Token], month: int | None, year: int | None) -> Periods:
    """A date whose month is spelled, or one in numbers."""
    if meant := _first(part, "D"):
        return tuple(meant)
    numbers = [token.value for token in part if token.kind in "Nt"]
    if len(numbers) > 1 or (numbers and any(token.kind in "'\u2019" for token in part)):
        year = periods.year_of(numbers.pop())
    return _day(year and periods.year_of(year), month or 0, numbers[0] if numbers else None)


def _day(year: int | None, month: int, day: int | None) -> Periods:
    if year is None:
        return () if day is None else periods.day_of_year(month, day)
    return periods.month(year, month) if day is None else periods.day(year, month, day)


def _range(part: Sequence[Token], month: int, year: int | None) -> Periods:
    """The days from one to another. Without a year, days of every year."""
    first, last = (token.value for token in part if token.kind == "N")
    days = range(first, last + 1)
    if not 1 < len(days) <= periods.MAX_PERIODS:
        return periods.month(year, month) if year and 1 <= first < last <= 31 else ()
    return tuple(one for day in days for one in _day(year, month, day))


def _offset(token: Token, before: str, today: date, text: str) -> Periods:
    """A day by a word like "yesterday", where the word means that."""
    match token.word.lower():
        case "hier" if not _FRENCH.search(text):
            return ()
        case "morgen" | "mañana" | "manana" if not token.word.islower() or before in _MORNING:
            return ()
        case "कल" | "परसों":
            days = abs(token.value)
            return periods.offset(today, -days) + periods.offset(today, days)
        case _:
            return periods.offset(today, token.value)
