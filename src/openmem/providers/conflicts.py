"""The errors for writes that do not fit what is stored."""

from __future__ import annotations

from ..errors import ConflictError


def key_in_use(key: str) -> ConflictError:
    """The error for a write that would give a memory the key of another one."""
    return ConflictError(
        f"key: the user has another memory with key {key!r} in this scope; nothing was stored. Use put to replace it"
    )


def other_version(id: str, version: int, wanted: int) -> ConflictError:
    """The error for a write to another version of a memory than the one that is there."""
    return _at_other_version(f"memory {id!r}", version, wanted)


def other_version_of_key(key: str, version: int, wanted: int) -> ConflictError:
    """The same for a write that names a key.

    Args:
        version: the version of the memory that has the key; 0 if none has.
    """
    return _at_other_version(f"key {key!r}", version, wanted)


def _at_other_version(what: str, version: int, wanted: int) -> ConflictError:
    return ConflictError(
        f"if_version: {what} is at version {version}, not {wanted}; nothing was changed. Read it again and decide anew"
    )
