"""Memories whose earlier versions were kept by ``put(keep_history=True)``."""

from __future__ import annotations

from typing import Protocol, TypeVar

from ..models import MemoryRecord
from ..operations import DeleteMany, History, Operation

R = TypeVar("R")


class Perform(Protocol):
    """Performs an operation in one of the two modes; where it blocks, it never suspends."""

    async def __call__(self, op: Operation[R], /) -> R: ...


async def erase_with_versions(record: MemoryRecord, perform: Perform) -> None:
    """Erase a memory, and with it the versions that it superseded."""
    versions = await perform(History(id=record.id, user_id=record.user_id))
    await perform(DeleteMany(user_id=record.user_id, ids=[record.id, *(version.id for version in versions)]))


def is_earlier_version(record: MemoryRecord) -> bool:
    """Whether a memory is a version that another one took the key of."""
    return record.key is None and record.valid_to is not None
