"""Cuts a text into words, numbers and marks where it may name dates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from . import periods
from .periods import Periods
from .unspaced import HINT
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
_TOKENS: Final = re.compile(_TOKEN, re.VERBOSE | re.IGNORECASE)
_ASCII_TOKENS: Final = re.compile(_TOKEN, re.VERBOSE | re.IGNORECASE | re.ASCII)
_SEVERAL: Final = re.compile(
    "(?:" + "|".join(sorted((word for word in WORDS if " " in word), key=len, reverse=True)) + r")(?!\w)", re.I
)
_FIRST_OF_SEVERAL: Final = frozenset(word.split()[0] for word in WORDS if " " in word)
_NAMES: Final = re.compile(_WORD)
_ASCII_NAMES: Final = re.compile("[a-z]+")
_NUMBER_OR_NAME: Final = re.compile(rf"\d+|{_WORD}")
_ASCII_NUMBER: Final = re.compile("[0-9]")
_NUMBER_OR_UNSPACED: Final = re.compile(rf"\d|{HINT.pattern}")

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


def may_name_dates(text: str) -> bool:
    """Whether a text has a number, a word of a date, or a character that dates without spaces have."""
    if text.isascii():
        return _ASCII_NUMBER.search(text) is not None or not _GATE.isdisjoint(_ASCII_NAMES.findall(text.lower()))
    return _NUMBER_OR_UNSPACED.search(text) is not None or not _GATE.isdisjoint(_NAMES.findall(text.lower()))


def runs(text: str) -> Iterator[list[Token]]:
    """The tokens of the parts of a text that may name dates: those around its numbers and the words of dates.

    A part begins and ends with a word that no date has, or with the text.
    """
    end = 0
    for found in _NUMBER_OR_NAME.finditer(text):
        if found.start() >= end and (found[0].lower() in _TIMES or found[0].isdecimal()):
            start, end = _around(text, *found.span())
            yield list(_tokens(text, start, end))


def _around(text: str, start: int, end: int) -> tuple[int, int]:
    """What stands around a part of a text, up to a word that no date has on both sides."""
    start = text.rfind(" ", 0, start) + 1
    while start:
        word_end, start = start - 1, text.rfind(" ", 0, start - 1) + 1
        if _divides(text[start:word_end]):
            break
    end = _end_of_word(text, end)
    while end < len(text):
        word_start, end = end + 1, _end_of_word(text, end + 1)
        if _divides(text[word_start:end]):
            break
    return start, end


def _end_of_word(text: str, start: int) -> int:
    end = text.find(" ", start)
    return len(text) if end < 0 else end


def _divides(word: str) -> bool:
    """Whether what stands between spaces is a word that no date has."""
    return word.isalpha() and folded(word) not in PARTS


def _tokens(text: str, start: int, end: int) -> Iterator[Token]:
    """The tokens that begin in a part of a text."""
    position, last = start, end
    search = (_ASCII_TOKENS if text.isascii() else _TOKENS).search
    while (match := search(text, position)) and match.start() < last:
        name, word, (start, end) = match.lastgroup, match[0], match.span()
        lower = word.lower()
        if lower in _FIRST_OF_SEVERAL and (several := _SEVERAL.match(text, start)):
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
