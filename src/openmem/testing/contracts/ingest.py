"""Waiting until memories can be searched."""

from __future__ import annotations

import pytest

from ...errors import NotFoundError
from ..contract import Contract, requires


class WaitForIngestContract(Contract):
    """`wait_for_ingest`."""

    @requires("add", "wait_for_ingest")
    async def test_waiting_is_for_ones_own_memories(self) -> None:
        mine = await self.two_users()
        await self.memory.wait_for_ingest([mine.id], self.user, timeout=30)
        await self.memory.wait_for_ingest([], self.user)
        with pytest.raises(NotFoundError):
            await self.memory.wait_for_ingest([mine.id], self.other)
        with pytest.raises(NotFoundError):
            await self.memory.wait_for_ingest([mine.id, "mem_unknown"], self.user)
