"""The first and the last moment that Python knows, which one driver writes as infinite and the other does not."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from openmem import AsyncMemory, Memory, MemoryRecord

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize("writer", ["Memory", "AsyncMemory"])
def test_both_clients_read_what_one_has_written(url: str, writer: str) -> None:
    user = f"extreme times of {writer}"
    arguments: dict[str, Any] = {"content": "likes green tea", "user_id": user, "valid_from": FIRST, "valid_to": LAST}

    async def on_a_loop(memory: Memory) -> None:
        async with AsyncMemory(url=url, embedder="hashing") as other:
            stored = await other.add(**arguments) if writer == "AsyncMemory" else memory.add(**arguments)
            assert (stored.valid_from, stored.valid_to) == (FIRST, LAST)
            assert (await other.list(user)).items == [stored]
            assert [result.memory for result in await other.search("tea", user)] == [stored]
            check(memory, stored)

    def check(memory: Memory, stored: MemoryRecord) -> None:
        assert memory.list(user).items == [stored]
        assert memory.get(stored.id) == stored
        assert [result.memory for result in memory.search("tea", user)] == [stored]
        assert memory.update(stored.id, tags=["drinks"]).valid_to == LAST

    with Memory(url=url, embedder="hashing") as memory:
        asyncio.run(on_a_loop(memory))
