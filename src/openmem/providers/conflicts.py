"""The errors for writes that do not fit what is stored."""

from __future__ import annotations

from .._ids import bucket_in, bucket_of
from ..errors import ConflictError, InvalidRequestError
from ..operations import InRecord, Restore


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


def check_given_ids(op: Restore) -> None:
    """Refuse memories with ids that openmem gave to no memory of their users.

    Raises:
        InvalidRequestError: an id is not of the form, or of another user.
    """
    for number, record in enumerate(op.records):
        with InRecord(number):
            _check_given_id(record.id, record.user_id)


def _check_given_id(id: str, user_id: str) -> None:
    bucket = bucket_in(id)
    if bucket is None:
        raise InvalidRequestError(f"id: {id!r} is not of the form that openmem gives ids; add the memory as a new one")
    if bucket != bucket_of(user_id):
        raise InvalidRequestError(
            f"id: {id!r} was given to a memory of another user than {user_id!r}; add the memory as a new one"
        )


def _at_other_version(what: str, version: int, wanted: int) -> ConflictError:
    return ConflictError(
        f"if_version: {what} is at version {version}, not {wanted}; nothing was changed. Read it again and decide anew"
    )
