"""Files of configuration: read, backed up, and replaced as a whole."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from .errors import HostConfigError

BACKUP_SUFFIX: Final = ".before-openmem"
_NEW_FILE_MODE: Final = 0o600


def read(path: Path) -> bytes | None:
    """What a file holds; None if there is none.

    Raises:
        HostConfigError: it cannot be read, or is not a file.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HostConfigError(f"{path}: cannot be read: {error.strerror}") from error


def decoded(content: bytes | None) -> str | None:
    """The text of a file, with its byte order mark and its line ends.

    Raises:
        HostConfigError: it is not UTF-8.
    """
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError as error:
        raise HostConfigError(f"byte {error.start} is not UTF-8; save the file as UTF-8") from None


def replace(path: Path, before: bytes | None, after: bytes) -> Path | None:
    """Write a file anew, as a whole or not at all, with the permissions that it has.

    A symbolic link stays one: what it points to is written. A copy of what was there is kept beside it.

    Args:
        before: what the file held when it was read. If it holds something else now, it is left alone.

    Returns:
        The copy; None if there was no file.

    Raises:
        HostConfigError: it cannot be written, or has changed meanwhile.
    """
    target = Path(os.path.realpath(path))
    try:
        backup = None
        if before is not None:
            if not os.access(target, os.W_OK):
                raise HostConfigError(f"{target}: is read-only; another program may manage it")
            backup = target.with_name(target.name + BACKUP_SUFFIX)
            _write(backup, before, like=target)
        _write(target, after, like=target, before=before)
        return backup
    except OSError as error:
        raise HostConfigError(f"{target}: cannot be written: {error.strerror}") from error


def delete(path: Path, before: bytes) -> None:
    """Delete a file, unless it has changed since it was read."""
    target = Path(os.path.realpath(path))
    _check_unchanged(target, before)
    try:
        target.unlink()
    except OSError as error:
        raise HostConfigError(f"{target}: cannot be deleted: {error.strerror}") from error


def _write(target: Path, content: bytes, *, like: Path, before: bytes | None = None) -> None:
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _copy_permissions(like, Path(name))
        if target == like:
            _check_unchanged(target, before)
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _check_unchanged(path: Path, before: bytes | None) -> None:
    if read(path) != before:
        raise HostConfigError(f"{path}: another program has just changed it; try again")


def _copy_permissions(source: Path, target: Path) -> None:
    try:
        found = source.stat()
    except FileNotFoundError:
        os.chmod(target, _NEW_FILE_MODE)
        return
    os.chmod(target, stat.S_IMODE(found.st_mode))
    if hasattr(os, "chown"):
        # Only root may give a file away; others keep what they make.
        with contextlib.suppress(PermissionError):
            os.chown(target, found.st_uid, found.st_gid)
