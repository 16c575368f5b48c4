"""Names by their sound, so that one that is misspelled is like the right one, and by their initials."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from .characters import folded, normalized
from .memo import Memo
from .stems import stem

SHORTEST_NAME: Final = 4
"""The fewest letters of a name that is compared by its sound. Shorter ones are too often like another."""

MARK: Final = "~"
"""What lexemes of sounds begin with, and no others."""

_ASCII_NAME: Final = re.compile("(?<![A-Za-z])([A-Z][a-z]+)(?![A-Za-z]|'t)(?: (?=([A-Z])[A-Za-z]))?")
_WORD: Final = re.compile(r"([^\W\d_]+)(?![^\W\d_]|['\u2019]t)(?: (?=([^\W\d_])[^\W\d_]))?")
_INITIAL: Final = re.compile(r"(?<!\w)([^\W\d_])\.? ?(?=([^\W\d_])[^\W\d_]{2})")
_INITIALS: Final = re.compile(r"(?<!\w)([^\W\d_])(\.?)([^\W\d_])(?!\w)")
_SOUNDS: Final = (
    ("ph", "f"),
    ("th", "t"),
    ("ck", "k"),
    ("sch", "s"),
    ("sh", "s"),
    ("kh", "k"),
    ("gh", "g"),
    ("x", "ks"),
)
_LETTERS: Final = str.maketrans("cqzwyj", "kksvii")
# Greek and Cyrillic letters as they are written in Latin ones, so that "Ольга" sounds like "Olga".
_LATIN: Final = str.maketrans(
    dict(
        zip(
            "αβγδεζηικλμνορσςτυφωабвгдеёзийклмнопрстуфыэіїєґјљњћђ",
            "avgdeziiklmnorsstyfoabvgdeezijklmnoprstufyeiiegjlncd",
            strict=True,
        )
    )
    | {"θ": "th", "ξ": "ks", "π": "p", "χ": "ch", "ψ": "ps", "ж": "zh", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh"}
    | {"щ": "sh", "ю": "yu", "я": "ya", "ъ": "", "ь": "", "џ": "dz"}
)
_VOWELS: Final = frozenset("aeiou")
_SILENT: Final = frozenset("h")
_ENDINGS: Final = ("", "-", "-y")


class Name(NamedTuple):
    """A word that begins with a capital letter and goes on with small ones, which names do.

    Attributes:
        word: without case and accents.
        initials: the lexeme of its first letter and that of the name after it, if there is one: those of "John Smith".
    """

    word: str
    initials: str | None

    @property
    def sound(self) -> Sound | None:
        """Its sound; None if it is short."""
        return _sounds[self.word] if len(self.word) >= SHORTEST_NAME else None


class Sound(NamedTuple):
    """The lexemes of a name's sound.

    Attributes:
        lexeme: what a memory with the name has. It tells apart names of one English stem: "Martin" and "Martine".
        alike: those of all names that sound like it, its own among them.
    """

    lexeme: str
    alike: tuple[str, ...]


def names(text: str) -> list[Name]:
    """The names of a text, in order of appearance."""
    if text.isascii():
        return [Name(word.lower(), _initials(word[0], after)) for word, after in _ASCII_NAME.findall(text)]
    return [
        Name(folded(word), _initials(word[0], after))
        for word, after in _WORD.findall(normalized(text))
        if word[0].isupper() and word[1:].islower()
    ]


def like_initials(text: str, named: Iterable[Name]) -> dict[str, str]:
    """What words of a query may stand for: "J" before "Smith" or "JS" for a name with these initials, and "John" before
    "Smith" for "J".

    Args:
        named: the names in it.
    """
    found = {name.word: name.word[0] for name in named if name.initials}
    text = normalized(text)
    for one, two in _INITIAL.findall(text):
        if lexeme := _initials(one, two):
            found[folded(one)] = lexeme
    for one, dot, two in _INITIALS.findall(text):
        if lexeme := _initials(one, two):
            found[folded(one + dot + two)] = lexeme
    return found


def _initials(one: str, two: str) -> str | None:
    """The lexeme of two letters, if both are capital ones."""
    return f"{MARK}{folded(one)}.{folded(two)}" if one.isupper() and two.isupper() else None


def _sound(name: str) -> Sound:
    alike = tuple(_consonants(name) + ending for ending in _ENDINGS)
    return Sound(alike[0 if stem(name, "en") == name else 2 if name.endswith("y") else 1], alike)


_sounds: Final = Memo(_sound, 8_192)


def _consonants(name: str) -> str:
    """The first letter, and the different consonants after it in alphabetical order: of typing errors, those that
    double, swap or leave out letters change few of them, and those of vowels none."""
    name = name.translate(_LATIN) if not name.isascii() else name
    for letters, sound in _SOUNDS:
        name = name.replace(letters, sound)
    name = name.translate(_LETTERS)
    first = "a" if name[0] in _VOWELS else name[0]
    return MARK + first + "".join(sorted(set(name[1:]) - _VOWELS - _SILENT - {first}))
