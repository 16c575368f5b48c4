"""Memories whose earlier versions were kept by ``put(keep_history=True)``."""

from __future__ import annotations

from ..models import MemoryRecord
from ..operations import DeleteMany, History, Update
from .performing import Perform


async def erase_with_versions(record: MemoryRecord, perform: Perform) -> None:
    """Erase a memory, and with it the versions that it superseded."""
    versions = await perform(History(id=record.id, user_id=record.user_id))
    await perform(DeleteMany(user_id=record.user_id, ids=[record.id, *(version.id for version in versions)]))


async def end_with_latest(record: MemoryRecord, perform: Perform) -> None:
    """Let the versions that a memory superseded expire with it, where they do not expire by themselves."""
    if record.expires_at is None or not record.supersedes:
        return
    for version in await perform(History(id=record.id, user_id=record.user_id)):
        if version.expires_at is None:
            await perform(Update(id=version.id, user_id=version.user_id, expires_at=record.expires_at))


def is_earlier_version(record: MemoryRecord) -> bool:
    """Whether a memory is a version that another one took the key of."""
    return record.key is None and record.valid_to is not None
