"""An `AddMany` of what an application passes to `add_many`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from .._ids import new_request_id
from ..errors import InvalidRequestError
from ..models import MemoryRecord
from .fields import ADD_ARGUMENTS, Progress
from .messages import InRecord, shown
from .writes import Add, AddMany, Restore, RestoredMemory

SET_BY_BACKEND: Final = frozenset({"embedding_model", "status"})
"""Fields of a record that a backend finds out anew."""


def read_records(records: Iterable[object]) -> tuple[object, ...]:
    """What `records` holds.

    Raises:
        InvalidRequestError: it is one mapping or text, or not iterable.
    """
    if isinstance(records, str | bytes | Mapping) or not isinstance(records, Iterable):
        raise InvalidRequestError(
            f"records: of type {type(records).__name__}, not a list; pass mappings with the arguments of add",
            request_id=new_request_id(),
        )
    return tuple(records)


def add_many_of(records: Sequence[object], progress: Progress | None) -> AddMany:
    """The operation of mappings with the arguments of `add`.

    Raises:
        InvalidRequestError: one is wrong; the message names its index, as in ``records[17].content``.
    """
    adds: list[Add] = []
    for number, record in enumerate(records):
        with InRecord(number):
            adds.append(_add_of(record))
    return AddMany(records=tuple(adds), progress=progress)


def restore_of(records: Sequence[object], progress: Progress | None) -> Restore:
    """The operation of records, or of mappings with the same fields.

    Raises:
        InvalidRequestError: one is wrong; the message names its index, as in ``records[17].content``.
    """
    restored: list[RestoredMemory] = []
    for number, record in enumerate(records):
        with InRecord(number):
            restored.append(_restored_of(record))
    return Restore(records=tuple(restored), progress=progress)


def _add_of(record: object) -> Add:
    if not isinstance(record, Mapping):
        raise InvalidRequestError(
            f"is of type {type(record).__name__}; give the arguments of add: {{'content': …, 'user_id': …}}",
            request_id=new_request_id(),
        )
    fields = {name: value for name, value in record.items() if name in ADD_ARGUMENTS}
    extensions = {name: value for name, value in record.items() if name not in ADD_ARGUMENTS}
    for name in extensions:
        if not isinstance(name, str):
            raise InvalidRequestError(
                f"has the key {shown(name)}, which is no argument of add", request_id=new_request_id()
            )
    return Add(**fields, extensions=extensions)


def _restored_of(record: object) -> RestoredMemory:
    given = {**vars(record), **(record.model_extra or {})} if isinstance(record, MemoryRecord) else record
    if not isinstance(given, Mapping):
        raise InvalidRequestError(
            f"is of type {type(record).__name__}; give a MemoryRecord, or a mapping with its fields",
            request_id=new_request_id(),
        )
    known = RestoredMemory.model_fields
    fields = {name: value for name, value in given.items() if name in known and value is not None}
    extensions = {name: value for name, value in given.items() if name not in known and name not in SET_BY_BACKEND}
    return RestoredMemory(**fields, extensions=extensions)
