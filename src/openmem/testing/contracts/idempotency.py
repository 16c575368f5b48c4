"""Calls that are made again since nobody knows whether they were done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ...errors import InvalidRequestError, UnsupportedCapabilityError
from ...models import MemoryRecord
from ..contract import Contract, requires


class IdempotencyContract(Contract):
    """``idempotency_key``. A provider that does not remember keys refuses them, and stores nothing."""

    async def _remembered(self, store: Callable[[], Awaitable[Any]]) -> bool:
        """Whether a call with a key was done; no if it was refused since the provider does not remember keys."""
        try:
            await store()
        except UnsupportedCapabilityError:
            assert (await self.memory.list(self.user)).items == []
            return False
        return True

    @requires("add", "list", "delete")
    async def test_a_memory_is_stored_once(self) -> None:
        async def add(content: str = "tea", user: str = self.user) -> MemoryRecord:
            return await self.memory.add(content=content, user_id=user, idempotency_key="k")

        if await self._remembered(add):
            [record] = (await self.memory.list(self.user)).items
            assert await add() == record
            assert (await add(user=self.other)).user_id == self.other
            with pytest.raises(InvalidRequestError):
                await add("milk")
            assert (await self.memory.list(self.user)).items == [record]
            await self.memory.delete(record.id)
            with pytest.raises(InvalidRequestError):
                await add()
            assert (await self.memory.list(self.user)).items == []

    @requires("add_many", "list", "delete")
    async def test_many_memories_are_stored_once(self) -> None:
        async def add(*contents: str, users: tuple[str, str] = (self.user, self.other)) -> list[MemoryRecord]:
            records = [{"content": content, "user_id": user} for content, user in zip(contents, users, strict=False)]
            return await self.memory.add_many(records, idempotency_key="k")

        if await self._remembered(lambda: add("tea", "milk")):
            stored = [*await self.memory.list(self.user), *await self.memory.list(self.other)]
            assert [record.content for record in stored] == ["tea", "milk"]
            assert await add("tea", "milk") == stored
            for contents in (["tea"], ["milk", "tea"], ["tea", "milk", "milk"]):
                with pytest.raises(InvalidRequestError):
                    await add(*contents, users=(self.user, self.user))
            with pytest.raises(InvalidRequestError):
                await self.memory.add(content="tea", user_id=self.user, idempotency_key="k")
            await self.memory.delete(stored[1].id)
            with pytest.raises(InvalidRequestError):
                await add("tea", "milk")
            assert (await self.memory.list(self.user)).items == stored[:1]
            assert (await self.memory.list(self.other)).items == []
