"""Cuts a text into words, numbers and marks where it may name dates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, NamedTuple

from ..memo import Memo
from . import periods
from .periods import Periods
from .vocabulary import PARTS, WORDS, folded, several


class Token(NamedTuple):
    """A word, a number or a mark: its kind and value as in `vocabulary`, where it stands, and how it is written."""

    kind: str
    value: Any
    start: int
    end: int
    word: str


_MARKS: Final = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670\u0900-\u0903\u093a-\u094f"
_WORD: Final = rf"[^\W\d_]+(?:[{_MARKS}]+[^\W\d_]*)*"
_BEFORE: Final = r"(?<![\d.,+_A-Za-z-])(?<!\d[/:])"
_AFTER: Final = r"(?![\w/]|[.,:-]\d)"
_TOKEN: Final = rf"""
    (?=\d) (?:
        (?<![\d.,+A-Za-z])(?<!\d[-:]) (?P<ymd> \d{{4}} (?P<s1>[-/.]) \d\d? (?P=s1) \d\d? )
            (?: [T\ ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\ ?Z|\ ?[+-]\d\d(?::?\d\d)?)? | (?![^\W_]|[.,:-]\d) )
        | {_BEFORE} (?P<dmy> \d\d? (?P<s2>[-/.]) \ ?\d\d? (?P=s2) \ ?\d{{4}}
            | \d\d?/\d\d?/\d\d | \d\d\.\d\d\.\d\d ) {_AFTER}
        | {_BEFORE} (?P<ym> (?:19|20)\d\d[-/](?:0[1-9]|1[0-2]) | (?:0?[1-9]|1[0-2])/(?:19|20)\d\d ) {_AFTER}
        | {_BEFORE} (?P<dm> \d\d?/\d\d? | \d\d?\.\ ?\d\d?\. ) {_AFTER}
        | (?P<number> \d+ ) (?: (?:{"|".join(several("ordinal endings"))})\b )?
    )
    | (?P<word> (?:avant|après|week|\w{{4,6}}a)-(?:hier|demain|end|feira)\b | aujourd['\u2019]hui | {_WORD} )
    | (?P<mark> [^\s\w] )
"""
_FIRST_OF_SEVERAL: Final = frozenset(word.split()[0] for word in WORDS if " " in word)
_NAMES: Final = re.compile(_WORD)
_NUMBER: Final = re.compile(r"\d")

_OTHER: Final = ("o", 0)
_PUNCTUATION: Final = frozenset(".,/-\u2013\u2014'\u2019")


def _names_of(kinds: str) -> Iterator[str]:
    """Of each word of some kinds its longest part, as `_NAMES` finds it in a text in lower case."""
    for word, (kind, _) in WORDS.items():
        if kind in kinds:
            yield from _NAMES.findall(max(re.split(r"[ '-]", word), key=len))


_TIMES: Final = frozenset(_names_of("MemxWSOUTQ"))
"""Words of which each pattern of `grammar` has one where it has no number."""
_GATE: Final = frozenset(name for name in _names_of("MemxWSOUTQft") if len(name) > 2) | {
    "dernier", "y", "år", "ay", "év", "za", "el",
}  # fmt: skip
"""Words of which every date that is not in numbers has one."""


_DIVIDES, _OTHER_PART, _TIME, _WORD_OF_DATE, _DATE = range(5)


def runs(text: str, has_date: bool) -> Iterator[list[Token]]:
    """The tokens of the parts of a text that may name dates: those around its numbers and the words of dates.

    A part begins and ends with a word that no date has, or with the text.

    Args:
        has_date: whether the text may have another date, so that it need not have a word of `_GATE`.
    """
    parts = text.split(" ")
    kinds = list(map(_kinds.__getitem__, parts))
    if max(kinds) < _WORD_OF_DATE and not has_date:
        return
    last = -1
    for number, kind in enumerate(kinds):
        if number > last and kind in (_TIME, _DATE):
            first = last = number
            while first and kinds[first] != _DIVIDES:
                first -= 1
            while last < len(kinds) - 1 and kinds[last] != _DIVIDES:
                last += 1
            start = sum(map(len, parts[:first])) + first
            yield list(_tokens(text, start, start + sum(map(len, parts[first : last + 1])) + last - first))


def _kind(part: str) -> int:
    """What a part of a text between spaces may be to dates.

    ``_DATE`` has a number, or a word of `_TIMES` that is also one of `_GATE`, ``_TIME`` has one of `_TIMES` only, and
    ``_WORD_OF_DATE`` has one of `_GATE` only. What ``_DIVIDES`` is a word that no date has.
    """
    if _NUMBER.search(part):
        return _DATE
    names = _NAMES.findall(part.lower())
    if not _GATE.isdisjoint(names):
        return _WORD_OF_DATE if _TIMES.isdisjoint(names) else _DATE
    if not _TIMES.isdisjoint(names):
        return _TIME
    return _DIVIDES if part.isalpha() and folded(part) not in PARTS else _OTHER_PART


_kinds: Final = Memo(_kind, 16_384)


# Patterns that take their time to compile, which is done at the first text that needs them.
@cache
def _token(is_ascii: bool) -> re.Pattern[str]:
    return re.compile(_TOKEN, re.VERBOSE | re.IGNORECASE | (re.ASCII if is_ascii else re.UNICODE))


@cache
def _several() -> re.Pattern[str]:
    """Words with a space in them."""
    words = sorted((word for word in WORDS if " " in word), key=len, reverse=True)
    return re.compile(rf"(?:{'|'.join(words)})(?!\w)", re.IGNORECASE)


def _tokens(text: str, start: int, end: int) -> Iterator[Token]:
    """The tokens that begin in a part of a text."""
    position, last = start, end
    search = _token(text.isascii()).search
    while (match := search(text, position)) and match.start() < last:
        name, word, (start, end) = match.lastgroup, match[0], match.span()
        lower = word.lower()
        if lower in _FIRST_OF_SEVERAL and (several := _several().match(text, start)):
            word, end = several[0], several.end()
            lower = word.lower()
        position = end
        match name:
            case "word" if lower != "q":
                yield Token(*WORDS.get(lower, _OTHER), start, end, word)
            case "word":
                number = text[end : end + 1]
                if number in {"1", "2", "3", "4"}:
                    position = end = end + 1
                    yield Token("Q", int(number), start, end, word)
                else:
                    yield Token(*WORDS.get(lower, _OTHER), start, end, word)
            case "mark":
                yield Token(word if word in _PUNCTUATION else "o", 0, start, end, word)
            case "ymd" | "dmy" | "ym":
                meant = _numeric(match[name])
                yield Token("D" if meant else "o", meant, start, end, word)
            case "dm":
                yield Token("d", match[name], start, end, word)
            case _:
                yield Token(*_number(match["number"], word), start, end, word)


def _number(digits: str, word: str) -> tuple[str, object]:
    """The kind and the value of a number, with what stands behind it in `word`."""
    if len(digits) == 8 and word.isdecimal() and (meant := _compact(word)):
        return "D", meant
    number = int(digits) if len(digits) <= 4 else 10_000
    if len(digits) == 4 and 1900 <= number < 2700:
        return "Y", number
    return "N" if 0 < number < 1000 and len(digits) < 4 else "o", number


def _compact(written: str) -> Periods:
    """The day that eight digits may mean, as in the names of files."""
    year, month, day = int(written[:4]), int(written[4:6]), int(written[6:])
    return periods.day(year, month, day) if 1950 <= year < 2100 else ()


def _numeric(written: str) -> Periods:
    """The days or the month that a date in numbers may mean. Where a year is last, either of the others is the day."""
    one, two, *three = (int(part) for part in re.split(r"[-/.]", written))
    if not three:
        return periods.month(max(one, two), min(one, two))
    if re.match(r"\d{4}", written):
        return periods.day(one, two, three[0])
    year = periods.year_of(three[0])
    if "." in written:
        return periods.day(year, two, one)
    return tuple(dict.fromkeys(periods.day(year, two, one) + periods.day(year, one, two)))
