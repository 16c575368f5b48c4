"""The words of dates of all languages together, from `words.txt`.

Most words have a letter, their *kind*, and a value:

=====  ==========================================================================================
kind   value
=====  ==========================================================================================
``M``  the number of a month. ``e`` and ``m`` are months whose names are also other words or names
       of people, ``e`` the English ones. ``x`` are short names that are months only beside a year
``W``  the number of a weekday, from Monday, 0. ``w`` are short names, which mean one beside a date
``S``  the number of a season, from spring, 0
``O``  the days from today: -1 for "yesterday"
``U``  a unit of time: ``d``, ``w``, ``m``, ``y``, or ``e`` for a weekend
``R``  the units from this one: -1 for "last", 0 for "this", 1 for "next"
``p``  0: "past", the units that end today
``A``  0: "ago", behind a number and a unit
``B``  0: "ago" before them, as in "vor 3 Tagen"
``n``  a number that is written as a word. ``t`` is an ordinal number
``f``  0: "few"
``Q``  0: a quarter of a year
``T``  0: a part of the day, as in "last night"
``P``  0: a preposition before a month
``c``  0: a word between a day, a month and a year, as in "9 de mayo de 2023"
=====  ==========================================================================================
"""

from __future__ import annotations

import pkgutil
import re
import unicodedata
from collections import defaultdict
from typing import Final, TypeAlias

Meaning: TypeAlias = tuple[str, int | str]

_SCRIPTS_WITH_ACCENTS: Final = re.compile("[a-z\u03b1-\u03c9]")


def _sections() -> dict[str, list[str]]:
    """The lines of each section of the file by its title."""
    data = pkgutil.get_data(__package__, "words.txt")
    assert data is not None, "words.txt is a part of the package"
    sections: defaultdict[str, list[str]] = defaultdict(list)
    title = ""
    for line in unicodedata.normalize("NFC", data.decode()).splitlines():
        if line.startswith("["):
            title = line[1:-1]
        elif line and not line.startswith("#"):
            sections[title].append(line)
    return sections


def without_accents(word: str) -> str:
    """A Latin or Greek word without its accents; the marks of other scripts are parts of their letters."""
    if word.isascii():
        return word
    parts = unicodedata.normalize("NFD", word)
    if not _SCRIPTS_WITH_ACCENTS.search(parts):
        return word
    return "".join(part for part in parts if not unicodedata.combining(part))


def _spelled(meanings: dict[str, Meaning]) -> dict[str, Meaning]:
    """The same words, also without accents where that is no other word."""
    plain = {without_accents(word): meaning for word, meaning in reversed(meanings.items())}
    for word in several("not without accents"):
        plain.pop(word, None)
    return plain | meanings


_SECTIONS: Final = _sections()


def several(title: str) -> frozenset[str]:
    """The words of a section."""
    return frozenset(word for line in _SECTIONS[title] for word in line.replace("_", " ").split())


def _names(title: str) -> dict[str, int]:
    """The numbers, from 0, of the names in a section with a line for each language."""
    numbers: dict[str, int] = {}
    for line in _SECTIONS[title]:
        for number, forms in enumerate(line.split()):
            for name in forms.split("/"):
                numbers.setdefault(name, number)
    numbers.pop("_", None)
    return numbers


def _months() -> dict[str, Meaning]:
    ambiguous, loose = several("ambiguous months"), several("months beside a year")
    months: dict[str, Meaning] = {}
    for name, number in _names("months").items():
        kind = "x" if name in loose else "M" if name not in ambiguous else "e" if name in MONTHS_BEFORE_DAYS else "m"
        months[name] = kind, number + 1
    return months


def _phrases() -> dict[str, Meaning]:
    words: dict[str, Meaning] = {}
    for title, lines in _SECTIONS.items():
        kind, _, value = title.partition(" ")
        if len(kind) == 1:
            for word in " ".join(lines).split():
                words.setdefault(word.replace("_", " "), (kind, value if value.isalpha() else int(value)))
    return words


MONTHS_BEFORE_DAYS: Final = several("months before a day")
"""The names that stand before the day, as in "May 9"."""

WORDS: Final = _spelled(
    _phrases()
    | {name: ("S", number) for name, number in _names("seasons").items()}
    | dict.fromkeys(several("short weekdays"), ("w", 0))
    | {name: ("W", number) for name, number in _names("weekdays").items()}
    | _months()
)
"""The kind and the value of each word, or of several with a space between them."""


def folded(word: str) -> str:
    """A word without case, in which letters are the same that a regular expression without case takes for the same."""
    return word.casefold().replace("\u0131", "i")


PARTS: Final = frozenset(
    map(folded, re.findall(r"[^\W_]+", " ".join([*(line for lines in _SECTIONS.values() for line in lines), *WORDS])))
)
"""The words of the file, and the parts of those that have several."""
