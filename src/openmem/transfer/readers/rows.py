"""The objects of a file, whichever way it holds them: as lines, as an array, or as pages that have an array each."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, BinaryIO, Final, TypeAlias, cast

from ...errors import InvalidRequestError
from ...wire.strict_json import read_json
from ..json_items import items_of
from ..records import Place, Problem
from ..sources import MAX_DOCUMENT_BYTES, Source, document_of, json_of, lines_of

Row: TypeAlias = tuple[Place, dict[str, Any]]

HEAD_BYTES: Final = 64 * 1024
_BOM: Final = b"\xef\xbb\xbf"


def rows_of(source: Source, members: Sequence[str]) -> Iterator[Row | Problem]:
    """The objects of a file; see `rows_of_stream`."""
    with source.open() as stream:
        yield from rows_of_stream(stream, source.name, members)


def rows_of_stream(
    stream: BinaryIO, name: str, members: Sequence[str], part: str | None = None
) -> Iterator[Row | Problem]:
    """The objects of JSON lines, of a JSON array, or of the arrays that an object, or an object a line, has.

    Args:
        name: what messages call the file.
        members: the members that such an array can be; one can be inside of another, as in ``result.points``.
        part: the file in an archive or a folder.

    Raises:
        InvalidRequestError: it is neither; an object with none of these members in lines is a row itself.
    """
    with peeked(stream) as (head, whole):
        begin = head.removeprefix(_BOM).lstrip()
        if not begin:
            return
        if begin[:1] == b"[":
            for item in items_of(whole, name, part=part):
                yield item if isinstance(item, Problem) else _row(*item)
        elif begin[:1] != b"{":
            raise InvalidRequestError(f"{name}: is no JSON: it begins with neither {{ nor [")
        elif _has_lines(begin, members):
            for line in lines_of(whole, part):
                if isinstance(line, Problem):
                    yield line
                elif line.text.strip():
                    value = json_of(line)
                    yield from [value] if isinstance(value, Problem) else _flat(line.place, value, members)
        else:
            yield from _document(whole, name, members, part)


def _document(stream: BinaryIO, name: str, members: Sequence[str], part: str | None) -> Iterator[Row | Problem]:
    """The objects of one object, of which one array is read where the object is too large, or bent."""
    raw = stream.read(MAX_DOCUMENT_BYTES + 1)
    try:
        document = document_of(io.BytesIO(raw), name)
    except InvalidRequestError:
        member = _streamable(raw[:HEAD_BYTES], members)
        if member is None:
            raise
        for item in items_of(_joined(raw, stream), name, member=member, part=part):
            yield item if isinstance(item, Problem) else _row(*item)
        yield Problem(f"is too large or bent, so that nothing but the array {member!r} was read", Place(part=part))
    else:
        yield from _flat(Place(part=part), document, members)


@contextmanager
def peeked(stream: BinaryIO) -> Iterator[tuple[bytes, BinaryIO]]:
    """The beginning of a stream, and a stream of all of it."""
    head = stream.read(HEAD_BYTES)
    yield head, _joined(head, stream)


def _joined(head: bytes, stream: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(_Joined(head, stream)))


def _has_lines(begin: bytes, members: Sequence[str]) -> bool:
    """Whether there is an object a line, rather than one object for the file."""
    lines = begin.split(b"\n")
    if len(lines) == 1 or not any(line.strip() for line in lines[1:]):
        is_cut = len(begin) > HEAD_BYTES - 16
        return _streamable(begin, members) is None if is_cut else not _is_whole(lines[0])
    return any(line.startswith(b"{") and _is_whole(line) for line in lines)


def _is_whole(text: bytes) -> bool:
    """Whether it is one object, and all of it."""
    try:
        return isinstance(read_json(text.decode()), dict)
    except ValueError:
        return False


def _streamable(begin: bytes, members: Sequence[str]) -> str | None:
    """The member that is an array and comes early in an object of which nothing else is needed."""
    found = [
        (match.start(), name) for name in members if (match := re.search(rb'"%s"\s*:\s*\[' % name.encode(), begin))
    ]
    return min(found)[1] if found else None


def _flat(place: Place, value: object, members: Sequence[str]) -> Iterator[Row | Problem]:
    arrays = [array for member in members if isinstance(array := _member(value, member), list)]
    for array in arrays:
        for number, item in enumerate(array, 1):
            yield _row(replace(place, item=number), item)
    if not arrays:
        yield _row(place, value)


def _member(value: object, path: str) -> object:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _row(place: Place, value: object) -> Row | Problem:
    if not isinstance(value, dict):
        return Problem(f"is no JSON object, but a value of type {type(value).__name__}", place)
    return place, value


class _Joined(io.RawIOBase):
    """Bytes that were read already, and then those of a stream."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._head[: len(buffer)] or self._stream.read(len(buffer))
        self._head = self._head[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)
