"""Names by their sound, so that one that is misspelled is like the right one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from .characters import folded, normalized

SHORTEST_NAME: Final = 4
"""The fewest letters of a name that is compared by its sound. Shorter ones are too often like another."""

MARK: Final = "~"
"""What lexemes of sounds begin with, and no others."""

_WORD: Final = re.compile(r"[^\W\d_]+")
_ASCII_NAME: Final = re.compile(rf"(?<![A-Za-z])[A-Z][a-z]{{{SHORTEST_NAME - 1},}}(?![A-Za-z])")
_SOUNDS: Final = (("ph", "f"), ("th", "t"), ("ck", "k"), ("sch", "s"), ("sh", "s"), ("kh", "k"), ("gh", "g"))
_LETTERS: Final = str.maketrans("cqzwyj\u0451\u0439", "kksvii\u0435\u0438")
_VOWELS: Final = frozenset("aeiou\u0430\u0435\u0438\u043e\u0443\u044b\u044d\u044e\u044fαεηιουω")
_SILENT: Final = frozenset("h\u044a\u044c")


def sounds(text: str) -> dict[str, str]:
    """The lexemes of the sounds of names, by the names without case and accents.

    A name is a word of letters that begins with a capital letter and goes on with small ones.
    """
    names = [name.lower() for name in _ASCII_NAME.findall(text)] if text.isascii() else map(folded, _names(text))
    return {name: _sound(name) for name in names}


def _names(text: str) -> Iterator[str]:
    for word in _WORD.findall(normalized(text)):
        if len(word) >= SHORTEST_NAME and word[0].isupper() and word[1:].islower():
            yield word


@lru_cache(8_192)
def _sound(name: str) -> str:
    """The first letter, and the different consonants after it in alphabetical order: of typing errors, those that
    double, swap or leave out letters change few of them, and those of vowels none."""
    for letters, sound in _SOUNDS:
        name = name.replace(letters, sound)
    name = name.translate(_LETTERS)
    first = "a" if name[0] in _VOWELS else name[0]
    return MARK + first + "".join(sorted(set(name[1:]) - _VOWELS - _SILENT - {first}))
