"""A file that is there as a whole or not at all."""

from __future__ import annotations

import gzip
import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

from ..errors import InvalidRequestError

PRIVATE: Final = 0o600
"""Only the user who runs the program may read it: it holds memories."""


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file to be written, compressed by gzip if its name ends in ``.gz``.

    It takes its name when the block ends and it is on the disk, and replaces a file of that name. If the block raises,
    nothing is left of it. A symbolic link stays, and leads to the new file.

    Raises:
        InvalidRequestError: it cannot be written there, or what is there is no file, such as a folder or a device.
    """
    try:
        place = Path(os.path.realpath(path))
    except OSError as error:
        raise InvalidRequestError(f"{path}: cannot be written: {error.strerror}") from error
    if place.is_dir():
        raise InvalidRequestError(f"{path}: is a folder; name a file in it")
    if place.exists() and not place.is_file():
        raise InvalidRequestError(f"{path}: is no file, and would be replaced by one; name a file")
    part = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    except OSError as error:
        raise InvalidRequestError(f"{path}: cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb", buffering=io.DEFAULT_BUFFER_SIZE * 16) as file:
            if path.name.endswith(".gz"):
                with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=6) as packed:
                    yield cast(BinaryIO, packed)
            else:
                yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, place)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, ConnectionError) and error.filename is None:
            # Of the file, such as that the disk is full: what is about another one has its name.
            raise InvalidRequestError(f"{path}: cannot be written: {error.strerror}") from error
        raise
    _sync_folder(place.parent)


def _sync_folder(folder: Path) -> None:
    """Have the name of a new file on the disk, where the system can do that."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
