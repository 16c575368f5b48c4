"""The items of a JSON array, one by one, however long the array is."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO, Final

from ..errors import InvalidRequestError
from ..wire.strict_json import Json
from .records import Place, Problem
from .sources import CHUNK_BYTES, DamagedError, Line, json_of

__all__ = ["items_of"]

MAX_ITEM_CHARACTERS: Final = 16 * 1024 * 1024

_NO_SPACE: Final = re.compile(r"[^ \t\r\n]")
_OUTSIDE: Final = re.compile(r'["{}\[\],: \t\r\n]')
_INSIDE: Final = re.compile(r'["\\]')


def items_of(
    stream: BinaryIO, name: str, *, member: str | None = None, part: str | None = None
) -> Iterator[tuple[Place, Json] | Problem]:
    """The items of an array; a `Problem` for each that is not valid JSON or has more than `MAX_ITEM_CHARACTERS`.

    Args:
        name: what messages call the document.
        member: the member of an object that is the array; None if the document is an array.
        part: the file that the stream is, in an archive or a folder.

    Raises:
        InvalidRequestError: there is no such array.
    """
    text = _Text(stream, name)
    if member is None:
        text.expect("[", "a JSON array")
    else:
        text.expect("{", "a JSON object")
        _find(text, member)
    number = 0
    try:
        while text.after_space() != "]":
            number += 1
            value = text.value(MAX_ITEM_CHARACTERS)
            place = Place(item=number, part=part)
            if value is None:
                yield Problem(f"has more than {MAX_ITEM_CHARACTERS} characters", place)
            else:
                found = json_of(Line(value, place))
                yield found if isinstance(found, Problem) else (place, found)
            following = text.after_space()
            if following == ",":
                text.take()
            elif following != "]":
                yield Problem("the array ends early: the file was cut off, or is not JSON from here on", place)
                return
    except (DamagedError, UnicodeDecodeError) as error:
        reason = error.message if isinstance(error, DamagedError) else "is not text in UTF-8 from here on"
        yield Problem(reason, Place(item=number, part=part))


def _find(text: _Text, member: str) -> None:
    """Read on until the array that is a member of the object."""
    while text.after_space() == '"':
        key = text.value(1024)
        text.expect(":", "a JSON object")
        if key == f'"{member}"':
            text.expect("[", f"an array {member!r}")
            return
        text.value(0)
        if text.after_space() == ",":
            text.take()
    raise InvalidRequestError(f"{text.name}: has no array {member!r}")


class _Text:
    """The characters of a document, of which a part is in memory."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.name = name
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._buffer = ""
        self._position = 0

    def after_space(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            found = _NO_SPACE.search(self._buffer, self._position)
            if found is not None:
                self._position = found.start()
                return found.group()
            if not self._fill():
                return ""

    def take(self) -> None:
        """Go on behind one character."""
        self._position += 1

    def expect(self, character: str, what: str) -> None:
        """Go on behind a character.

        Raises:
            InvalidRequestError: another one comes next.
        """
        if self.after_space() != character:
            raise InvalidRequestError(f"{self.name}: is not {what}")
        self.take()

    def value(self, limit: int) -> str | None:
        """The text of the next value, which may be no valid JSON; None if it has more than `limit` characters."""
        parts: list[str] = []
        length = depth = 0
        is_inside = is_escaped = False
        begins = True
        while True:
            if self._position >= len(self._buffer) and not self._fill():
                break
            start = self._position
            ends = False
            while not ends:
                if is_escaped:
                    if self._position >= len(self._buffer):
                        break
                    self._position += 1
                    is_escaped = False
                found = (_INSIDE if is_inside else _OUTSIDE).search(self._buffer, self._position)
                if found is None:
                    self._position = len(self._buffer)
                    begins = False
                    break
                character, position = found.group(), found.start()
                begins = begins and position == self._position
                self._position = position + 1
                if is_inside:
                    is_inside = character != '"'
                    is_escaped = character == "\\"
                    ends = not is_inside and depth == 0
                elif character == '"':
                    is_inside, begins = True, False
                elif character in "{[":
                    depth, begins = depth + 1, False
                elif depth == 0 and (not begins or character in "]},:"):
                    self._position = position
                    ends = True
                elif character in "}]":
                    depth -= 1
                    ends = depth == 0
            length += self._position - start
            if length <= limit:
                parts.append(self._buffer[start : self._position])
            if ends:
                break
        return "".join(parts) if length <= limit else None

    def _fill(self) -> bool:
        """Read on; False at the end."""
        data = self._stream.read(CHUNK_BYTES)
        self._buffer = self._decoder.decode(data, final=not data)
        self._position = 0
        return bool(data)
