"""Any text as a segment of a scope, or as a key, and back; and as a name in a filter.

What a segment cannot have is written as in URLs: a percent sign and two hexadecimal digits for each byte. No two texts
have one segment.
"""

from __future__ import annotations

import re
from typing import Final

_EMPTY: Final = "%"
_RESERVED: Final = frozenset("%/*")
_ENCODED: Final = re.compile(r"(?:%[0-9A-F]{2})+")


def encoded(text: str) -> str:
    """Any text as a segment of a scope, or as a key."""
    if not text:
        return _EMPTY
    is_blank = not text.strip()
    return "".join(
        "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
        if is_blank or character in _RESERVED or not character.isprintable()
        else character
        for character in text
    )


def decoded(text: str) -> str:
    """The text that `encoded` was given."""
    if text == _EMPTY:
        return ""
    return _ENCODED.sub(
        lambda found: bytes.fromhex(found[0].replace("%", "")).decode("utf-8", "surrogatepass"),
        text,
    )


def field_name(text: str) -> str:
    """A name as a part of a path of a filter, in which dots, and a dollar sign at the beginning, mean something."""
    escaped = text.replace("\\", "\\\\").replace(".", "\\.")
    return f"\\{escaped}" if escaped.startswith("$") else escaped
