"""Characters: one spelling for what can be spelled in several ways, and which scripts there are."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from functools import lru_cache
from typing import Final

# Python's regular expressions do not take marks for parts of words, though they are vowels in Indic scripts and Thai.
MARKS: Final = (
    r"\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f"
    r"\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed\u0711\u0730-\u074a\u0900-\u0963\u0971-\u0df3\u0e31-\u0e3a"
    r"\u0e40-\u0e4e\u0eb1-\u0ece\u0f71-\u0f84\u102b-\u103e\u1056-\u109d\u135d-\u135f\u17b4-\u17d3\u1ab0-\u1aff"
    r"\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
)
# The first characters of ranges, and of which kind they are.
_KINDS: Final = (
    ("\0", ""), ("\u0e01", "pairs"), ("\u0e50", ""), ("\u0e81", "pairs"), ("\u0ed0", ""), ("\u0edc", "pairs"),
    ("\u0ee0", ""), ("\u1000", "pairs"), ("\u1040", ""), ("\u1050", "pairs"), ("\u1090", ""), ("\u109a", "pairs"),
    ("\u10a0", ""), ("\u1100", "hangul"), ("\u1200", ""), ("\u1780", "pairs"), ("\u17e0", ""), ("\u2e80", "han"),
    ("\u2fe0", ""), ("\u3005", "han"), ("\u3008", ""), ("\u3041", "han"), ("\u30fb", ""), ("\u30fc", "han"),
    ("\u3131", "hangul"), ("\u318f", ""), ("\u31f0", "han"), ("\u3200", ""), ("\u3400", "han"), ("\u4dc0", ""),
    ("\u4e00", "han"), ("\ua000", ""), ("\uac00", "hangul"), ("\ud7a4", ""), ("\uf900", "han"), ("\ufb00", ""),
    ("\U0001b000", "han"), ("\U0001b170", ""), ("\U00020000", "han"), ("\U00040000", ""),
)  # fmt: skip
_FIRST: Final = tuple(first for first, _ in _KINDS)

_SCRIPTS: Final = (
    (0x0250, "latin"), (0x0370, ""), (0x0400, "greek"), (0x0530, "cyrillic"), (0x0590, "armenian"), (0x0600, "hebrew"),
    (0x0780, "arabic"), (0x0900, ""), (0x0980, "devanagari"), (0x0A00, "bengali"), (0x0B80, ""),
    (0x0C00, "tamil"), (0x10A0, ""), (0x1100, "georgian"), (0x1E00, ""), (0x1F00, "latin"), (0x2000, "greek"),
)  # fmt: skip
_ACCENTED: Final = frozenset({"latin", "greek", "cyrillic", "hebrew", "arabic", ""})
# Letters whose accent is not an addition to another letter.
_WHOLE: Final = frozenset("йїўѓќ")
_REPLACED: Final = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "ŋ": "n"}
    | dict.fromkeys("أإآٱ", "ا")
    | dict.fromkeys("ىیئې", "ي")
    | dict.fromkeys("ةہھۀ", "ه")
    | {"ک": "ك", "ؤ": "و", "ґ": "г", "\u2019": "'", "\u0901": "\u0902"}
    | dict.fromkeys("\u0640\u093c")
)
_FRACTION: Final = re.compile(r"(?<=\d)[\u00bc-\u00be\u2150-\u215e]")
_PERSIAN_SPACE: Final = re.compile(r"(?<=[\u0600-\u06ff])\u200c")
# What nobody sees is left out, and apostrophes that are letters in Unicode are those that are not.
_REPLACED_FIRST: Final = dict.fromkeys(
    (0x00AD, *range(0x200C, 0x2010), *range(0x2060, 0x2065), *range(0xFE00, 0xFE10), 0xFEFF)
) | dict.fromkeys((0x02BB, 0x02BC, 0x05F3), "'")


def normalized(text: str) -> str:
    """Full width, ligatures and other compatibility forms as the characters that they stand for, letters composed."""
    if text.isascii():
        return text
    # A fraction is not a part of the number before it, and the Persian space within words parts words.
    text = _FRACTION.sub(r" \g<0>", _PERSIAN_SPACE.sub(" ", text))
    return unicodedata.normalize("NFKC", text.translate(_REPLACED_FIRST)).replace("l\u00b7l", "ll")


def lowered(word: str) -> str:
    """A word without case and with its accents."""
    if word.isascii():
        return word.lower()
    return unicodedata.normalize("NFC", word.casefold().replace("i\u0307", "i"))


def folded(word: str) -> str:
    """A word without case, accents, vowel points and decoration, with the digits of ASCII."""
    lower = lowered(word)
    return lower if lower.isascii() else "".join(map(_folded, lower)).translate(_REPLACED)


def kind(character: str) -> str:
    """How words of a character are found: empty in scripts with spaces, such as Latin.

    ``han`` is Chinese and Japanese, ``hangul`` Korean, and ``pairs`` another script without spaces between words.
    """
    return _KINDS[bisect_right(_FIRST, character) - 1][1]


def script(letter: str) -> str:
    """The script of an alphabet, in English and lower case; empty for others."""
    code = ord(letter)
    return next((name for end, name in _SCRIPTS if code < end), "")


@lru_cache(4_096)
def _folded(character: str) -> str:
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    if character < "\u00c0" or character in _WHOLE:
        return character
    if not unicodedata.combining(character) and (character > "\u2000" or script(character) not in _ACCENTED):
        return character
    if unicodedata.combining(character) and "\u0900" <= character < "\u1ab0":
        return character
    return "".join(one for one in unicodedata.normalize("NFD", character) if not unicodedata.combining(one))
