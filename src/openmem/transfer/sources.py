"""What is read: a file, a folder or a stream, without trust in what it holds.

However large a source is, at most `MAX_LINE_BYTES` of a line and `MAX_DOCUMENT_BYTES` of a document are in memory, and
nothing is unpacked to disk. Compressed data that grow as no text does are refused.
"""

from __future__ import annotations

import gzip
import io
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, cast

from ..errors import InvalidRequestError
from ..wire.strict_json import Json, read_json
from .records import Place, Problem

__all__ = ["Archive", "DamagedError", "Line", "Source", "document_of", "json_of", "lines_of"]

MAX_LINE_BYTES: Final = 16 * 1024 * 1024
"""A memory that no search finds has up to 512 Ki characters, each of up to 12 bytes as JSON."""
MAX_DOCUMENT_BYTES: Final = 64 * 1024 * 1024
MAX_SPOOLED_BYTES: Final = 16 * 1024**3
"""Of a stream that is copied to a file, since it must be read more than once."""
MAX_ARCHIVE_FILES: Final = 100_000
MAX_GROWTH: Final = 250
"""How many times as long as its compressed form a text may be. Prose shrinks to a third, equal lines to a hundredth."""
UNCHECKED_BYTES: Final = 64 * 1024 * 1024
"""Up to here compressed data may have grown however much."""
CHUNK_BYTES: Final = 64 * 1024

_GZIP: Final = b"\x1f\x8b"
_BROKEN: Final = (EOFError, OSError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError)
"""What the standard library raises for archives that are damaged, encrypted, or packed as it does not know."""


class DamagedError(InvalidRequestError):
    """Compressed data cannot be read on from here."""


@dataclass(frozen=True, slots=True)
class Damage(Problem):
    """Compressed data cannot be read on from here."""


class Line(NamedTuple):
    """One line of text, without its end."""

    text: str
    place: Place


class Source:
    """What a reader reads.

    Args:
        path: a file or a folder; None for `stream`.
        stream: bytes that are read once, such as standard input.
        name: what messages call it; by default the path.

    Attributes:
        path: the file or the folder; None for a stream.
        name: what messages call it.
    """

    def __init__(self, path: Path | None, stream: BinaryIO | None = None, name: str = "") -> None:
        self.path = path
        self.name = name or str(path)
        self._stream = stream
        self._raw: BinaryIO | None = None

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Source:
        """A file or a folder.

        Raises:
            InvalidRequestError: there is nothing at this path.
        """
        found = Path(path)
        if not found.exists():
            raise InvalidRequestError(f"{found}: there is no such file or folder")
        return cls(found)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of files."""
        return self.path is not None and self.path.is_dir()

    @property
    def fraction(self) -> float | None:
        """How much of the file has been read, from 0 to 1, while it is open; None if that cannot be told."""
        if self._raw is None or self._raw.closed or self.path is None:
            return None
        size = os.fstat(self._raw.fileno()).st_size
        return min(1.0, self._raw.tell() / size) if size else 1.0

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The bytes, unpacked if they are compressed by gzip.

        Raises:
            InvalidRequestError: it cannot be read.
            DamagedError: while it is read: the compressed data end early, or grow as no text does.
        """
        with ExitStack() as stack:
            raw = self._open(stack)
            buffered = raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, raw))
            if buffered.peek(2)[:2] != _GZIP:
                yield cast(BinaryIO, buffered)
                return
            counted = _Counted(buffered)
            unpacked = stack.enter_context(gzip.GzipFile(fileobj=counted))
            yield _guarded(unpacked, self.name, lambda: counted.done)

    @contextmanager
    def archive(self) -> Iterator[Archive]:
        """The files of a ZIP archive. A stream is copied to a temporary file.

        Raises:
            InvalidRequestError: it cannot be read, is no ZIP archive, or not one that can be trusted.
        """
        with ExitStack() as stack:
            raw = self._open(stack)
            if self.path is None:
                raw = self._spooled(raw, stack)
            try:
                packed = stack.enter_context(zipfile.ZipFile(raw))
            except _BROKEN as error:
                raise InvalidRequestError(f"{self.name}: is not a ZIP archive") from error
            yield Archive(packed, self.name)

    def lines(self) -> Iterator[Line | Problem]:
        """The lines of the text; a `Problem` for each that is not text in UTF-8, or is too long."""
        with self.open() as stream:
            yield from lines_of(stream)

    def document(self) -> Json:
        """The value of a JSON document.

        Raises:
            InvalidRequestError: it is no JSON in UTF-8, has an object with a key twice, is nested too deeply, or has
                more than `MAX_DOCUMENT_BYTES`.
        """
        with self.open() as stream:
            return document_of(stream, self.name)

    def files(self, *suffixes: str) -> Iterator[tuple[str, Path]]:
        """The files in a folder and its folders, as (path within it with slashes, path), in the order of their names.

        What a symbolic link leads to is left out.

        Args:
            suffixes: endings in lower case, such as ``.md``; none for all files.

        Raises:
            InvalidRequestError: there are more than `MAX_ARCHIVE_FILES`.
        """
        assert self.path is not None
        found = 0
        for folder, folders, names in os.walk(self.path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = Path(folder, name)
                if path.is_symlink() or not path.is_file() or (suffixes and path.suffix.lower() not in suffixes):
                    continue
                found += 1
                if found > MAX_ARCHIVE_FILES:
                    raise InvalidRequestError(f"{self.name}: has more than {MAX_ARCHIVE_FILES} files")
                yield path.relative_to(self.path).as_posix(), path

    def _open(self, stack: ExitStack) -> BinaryIO:
        if self.path is None:
            assert self._stream is not None
            self._raw = self._stream
        else:
            try:
                self._raw = stack.enter_context(self.path.open("rb"))
            except OSError as error:
                raise InvalidRequestError(f"{self.name}: cannot be read: {error.strerror}") from error
        return self._raw

    def _spooled(self, stream: BinaryIO, stack: ExitStack) -> BinaryIO:
        file = tempfile.TemporaryFile()  # noqa: SIM115  # the stack closes it
        copy, left = stack.enter_context(file), MAX_SPOOLED_BYTES
        while data := stream.read(CHUNK_BYTES):
            left -= len(data)
            if left < 0:
                raise InvalidRequestError(f"{self.name}: has more than {MAX_SPOOLED_BYTES} bytes; give a file's path")
            copy.write(data)
        copy.seek(0)
        return cast(BinaryIO, copy)


class Archive:
    """The files of a ZIP archive, which are never written to disk.

    Attributes:
        names: the paths of its files, with slashes, in the order of the archive; no folders.

    Raises:
        InvalidRequestError: it has more than `MAX_ARCHIVE_FILES`, or a file whose path leads out of the archive.
    """

    def __init__(self, packed: zipfile.ZipFile, name: str) -> None:
        self._packed = packed
        self._name = name
        infos = packed.infolist()
        if len(infos) > MAX_ARCHIVE_FILES:
            raise InvalidRequestError(f"{name}: has {len(infos)} files, more than {MAX_ARCHIVE_FILES}")
        self._infos: dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            path = info.filename.replace("\\", "/")
            if path.startswith("/") or ".." in path.split("/") or ":" in path.split("/")[0]:
                raise InvalidRequestError(f"{name}: has the file {path[:80]!r}, whose path leads out of the archive")
            if path in self._infos:
                raise InvalidRequestError(f"{name}: has the file {path[:80]!r} twice")
            if not info.is_dir():
                self._infos[path] = info
        self.names = tuple(self._infos)

    def __contains__(self, name: str) -> bool:
        return name in self._infos

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """The bytes of a file, as it is; see `lines_of` and `document_of`.

        Raises:
            InvalidRequestError: it is encrypted, or packed in a way that Python does not know.
            DamagedError: while it is read: the data are damaged, or grow as no text does.
        """
        info = self._infos[name]
        try:
            unpacked = self._packed.open(info)
        except _BROKEN as error:
            raise InvalidRequestError(f"{self._name}: file {name!r} cannot be unpacked: {error}") from error
        with unpacked:
            yield _guarded(cast(io.BufferedIOBase, unpacked), f"{self._name}, {name}", lambda: info.compress_size)


def lines_of(stream: BinaryIO, part: str | None = None) -> Iterator[Line | Problem]:
    """The lines of text in UTF-8; a `Problem` for each that is none, or has more than `MAX_LINE_BYTES`.

    Args:
        part: the file that the stream is, in an archive or a folder.
    """
    number = 0
    try:
        while raw := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            place = Place(line=number, part=part)
            if len(raw) > MAX_LINE_BYTES and not raw.endswith(b"\n"):
                while raw and not raw.endswith(b"\n"):
                    raw = stream.readline(CHUNK_BYTES)
                yield Problem(f"has more than {MAX_LINE_BYTES} bytes", place)
                continue
            try:
                yield Line(_decoded(raw, is_first=number == 1).rstrip("\r\n"), place)
            except ValueError as error:
                yield Problem(str(error), place)
    except DamagedError as error:
        yield Damage(error.message, Place(line=number + 1, part=part))


def json_of(line: Line) -> Json | Problem:
    """The JSON value of a line, or what is wrong with it."""
    try:
        return read_json(line.text)
    except ValueError as error:
        return Problem(_without_text(error), line.place)


def document_of(stream: BinaryIO, name: str) -> Json:
    """The value of a JSON document; see `Source.document`.

    Args:
        name: what messages call it.
    """
    raw = stream.read(MAX_DOCUMENT_BYTES + 1)
    if len(raw) > MAX_DOCUMENT_BYTES:
        raise InvalidRequestError(f"{name}: has more than {MAX_DOCUMENT_BYTES} bytes, too many for one JSON document")
    try:
        return read_json(_decoded(raw, is_first=True))
    except ValueError as error:
        raise InvalidRequestError(f"{name}: {_without_text(error)}") from None


def _decoded(raw: bytes, *, is_first: bool) -> str:
    try:
        return raw.decode("utf-8-sig" if is_first else "utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"is not text in UTF-8: byte {error.start} is wrong") from None


def _without_text(error: ValueError) -> str:
    """The message about JSON that cannot be read. Names of keys are left out: they may be of a memory."""
    message = str(error)
    return "has an object with a key twice" if message.startswith("an object has") else message


def _guarded(stream: io.BufferedIOBase, name: str, packed_bytes: Callable[[], int]) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(_Guard(stream, name, packed_bytes), CHUNK_BYTES))


class _Guard(io.RawIOBase):
    """Unpacked data, as long as they can be unpacked and are not many times what they were unpacked from."""

    def __init__(self, stream: io.BufferedIOBase, name: str, packed_bytes: Callable[[], int]) -> None:
        self._stream = stream
        self._name = name
        self._packed_bytes = packed_bytes
        self._done = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            # `read` would throw away what it has when it meets the damage.
            data = self._stream.read1(len(buffer))
        except _BROKEN as error:
            raise DamagedError(f"{self._name}: the compressed data are damaged or end early") from error
        self._done += len(data)
        if self._done > UNCHECKED_BYTES and self._done > MAX_GROWTH * self._packed_bytes():
            raise DamagedError(f"{self._name}: grows to more than {MAX_GROWTH} times its size, as no text does")
        buffer[: len(data)] = data
        return len(data)


class _Counted(io.RawIOBase):
    """A stream that knows how many bytes were read of it."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream
        self.done = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._stream.readinto(buffer)
        self.done += count
        return count
