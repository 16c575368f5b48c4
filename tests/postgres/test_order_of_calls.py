"""Memories that are added at once are in the order of the calls, whichever is stored first."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import psycopg
import pytest

from openmem import AsyncMemory
from openmem.embedders.hashing import HashingEmbedder
from openmem.providers.postgres.provider import PostgresProvider

TURNS = [f"turn {number}" for number in range(12)]


class Gates:
    """Lets the additions under way go on one by one."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Event] = {}
        self._arrived = asyncio.Condition()

    async def wait(self, content: str) -> None:
        self._waiting[content] = asyncio.Event()
        async with self._arrived:
            self._arrived.notify_all()
        await self._waiting[content].wait()

    async def open(self, content: str) -> None:
        async with self._arrived:
            await self._arrived.wait_for(lambda: content in self._waiting)
        self._waiting[content].set()


@pytest.mark.parametrize("seed", range(5))
def test_ordinals_are_in_the_order_of_the_calls(url: str, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    asyncio.run(add_in_another_order(url, monkeypatch, f"order {seed}", random.Random(seed)))
    with psycopg.connect(url) as admin:
        rows = admin.execute(
            "SELECT content, ordinal FROM openmem.memories WHERE user_id = %s ORDER BY ordinal", (f"order {seed}",)
        ).fetchall()
    contents = ["before", *TURNS, "after"]
    assert rows == [(content, number) for number, content in enumerate(contents, 1)]


async def add_in_another_order(url: str, monkeypatch: pytest.MonkeyPatch, user: str, chance: random.Random) -> None:
    """Add the turns, the second half while two of the first are under way, and store each half in a random order."""
    gates, read = Gates(), PostgresProvider._read

    async def read_later(provider: PostgresProvider, content: str, *rest: Any) -> Any:
        await gates.wait(content)
        return await read(provider, content, *rest)

    async with AsyncMemory(url=url, embedder=HashingEmbedder()) as memory:
        await memory.add(content="before", user_id=user)
        monkeypatch.setattr(PostgresProvider, "_read", read_later)
        async with asyncio.TaskGroup() as group:
            half = len(TURNS) // 2
            calls = {turn: group.create_task(memory.add(content=turn, user_id=user)) for turn in TURNS[:half]}
            first, second = TURNS[:half], TURNS[half:]
            chance.shuffle(first)
            chance.shuffle(second)
            for turn in first[:-2]:
                await gates.open(turn)
                await calls[turn]
            calls |= {turn: group.create_task(memory.add(content=turn, user_id=user)) for turn in TURNS[half:]}
            for turn in [*second[:3], *first[-2:], *second[3:]]:
                await gates.open(turn)
                await calls[turn]
        monkeypatch.undo()
        await memory.add(content="after", user_id=user)


def test_an_addition_that_failed_keeps_no_place(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(add_after_failures(url, monkeypatch))
    with psycopg.connect(url) as admin:
        assert admin.execute("SELECT ordinal FROM openmem.memories WHERE user_id = 'failed'").fetchall() == [(1,)]


async def add_after_failures(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with AsyncMemory(url=url, embedder=HashingEmbedder()) as memory:
        with monkeypatch.context() as patched:
            patched.setattr(HashingEmbedder, "embed", lambda *_: 1 / 0)
            results = await asyncio.gather(
                *(memory.add(content=turn, user_id="failed") for turn in TURNS), return_exceptions=True
            )
            assert all(isinstance(result, Exception) for result in results)
        await memory.add(content="after", user_id="failed")
