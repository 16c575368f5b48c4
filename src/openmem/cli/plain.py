"""Text as a terminal may show it. Memories are written by anybody, and terminals obey what they are sent."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

_CONTROLS: Final = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff"
_UNSAFE: Final = re.compile(f"[{_CONTROLS}\ud800-\udfff]")
_SPACES: Final = re.compile(r"[\s\x1c-\x1f]+")


def safe_text(text: str) -> str:
    """Text whose line breaks and tabs stay, and whose other control characters are shown as ``\\x1b``."""
    return _UNSAFE.sub(_shown, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """The same on one line, with single spaces."""
    return safe_text(_SPACES.sub(" ", text))


def safe_json(text: str) -> str:
    """JSON whose texts have no control characters but as escapes."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def counted(number: int, one: str, many: str) -> str:
    """A number of things, as in ``1 memory`` and ``1,200 memories``."""
    return f"{number:,} {one if number == 1 else many}"


def width(text: str) -> int:
    """How many columns a terminal needs for a text without control characters."""
    return len(text) if text.isascii() else sum(map(_width, text))


def cut(text: str, columns: int) -> str:
    """As much of a text as there is room for, with an ellipsis where it is cut."""
    if width(text) <= columns:
        return text
    taken, used = [], 0
    for character in text:
        used += _width(character)
        if used > columns - 1:
            break
        taken.append(character)
    return "".join(taken).rstrip() + "…"


@lru_cache(maxsize=4096)
def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
