"""What text may hold, wherever it comes from."""

from __future__ import annotations

import re
from typing import Final

MAX_NAME_CHARACTERS: Final = 512
"""Characters of the name of a user, an application, a tag or a memory, at most."""

_PLAIN: Final = re.compile(r"(?!.*//)[\w .:/*-]{1,24}")
_SURROGATE_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_RARE: Final = re.compile("[\x00\ud800-\udfff]")
_FORBIDDEN: Final = re.compile("\x00|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]")


def check_text(text: str) -> str:
    """`text`, with each pair of surrogates as the one character that the two stand for.

    Such pairs come from JSON and UTF-16 that were decoded half-way: ``"\\ud83d\\ude00"`` is an emoji.

    Raises:
        ValueError: it holds what PostgreSQL or UTF-8 cannot: a NUL, or a surrogate without the other half.
    """
    if not _RARE.search(text):
        return text
    if found := _FORBIDDEN.search(text):
        kind = "a NUL character" if found.group() == "\0" else "a lone surrogate"
        raise ValueError(f"has {kind} at position {found.start()}; remove it")
    return _SURROGATE_PAIR.sub(_joined, text)


def mended(text: str) -> str:
    """Any text as one that `check_text` takes: a replacement character stands for what it refuses."""
    return check_text(_FORBIDDEN.sub("\ufffd", text)) if _RARE.search(text) else text


def quoted(setting: object, instead: str = "what was given") -> str:
    """A setting that is refused, for the message.

    Anything may stand where it does not belong, also a URL with a password or a key. So only what looks like a
    short name or a number is quoted.

    Args:
        instead: what to say of other text.
    """
    if setting is None or isinstance(setting, int | float) or (isinstance(setting, str) and _PLAIN.fullmatch(setting)):
        return ascii(setting)
    return instead if isinstance(setting, str) else f"a value of type {type(setting).__name__}"


def _joined(pair: re.Match[str]) -> str:
    return pair.group().encode("utf-16-le", "surrogatepass").decode("utf-16-le")
