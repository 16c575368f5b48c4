"""On which day a memory is, and which day a query means, in both backends that rank by words."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from openmem import AsyncMemory, Memory
from openmem.drivers.asyncio import AsyncPorts
from openmem.drivers.blocking import BlockingPorts

LOS_ANGELES = "America/Los_Angeles"
NOW = datetime(2023, 9, 11, 6, 30, tzinfo=UTC)  # the 10th in Los Angeles, the 11th in Lisbon


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BlockingPorts, "now", lambda ports: NOW)


@pytest.fixture(params=["postgres", "memory"])
def provider(request: pytest.FixtureRequest, url: str) -> dict[str, Any]:
    return {"postgres": {"url": url}, "memory": {"provider": "memory"}}[request.param]


@pytest.fixture
def memory(provider: dict[str, Any]) -> Iterator[Memory]:
    with Memory(**provider, embedder="hashing") as memory:
        yield memory


@pytest.fixture
def user() -> str:
    return uuid4().hex


def add_days(memory: Memory, user: str) -> None:
    for day in (8, 9, 10, 11):
        memory.add(content=f"Walked {'abcdefghijkl'[day]}", user_id=user, valid_from=f"2023-09-{day:02}T12:00:00Z")


def first(memory: Memory, query: str, user: str, timezone: tzinfo | str | None = None) -> str:
    [hit] = memory.search(query, user, limit=1, timezone=timezone)
    assert hit.memory.valid_from is not None
    return hit.memory.valid_from.date().isoformat()


@pytest.mark.parametrize("query", ["yesterday", "2023/09/10", "September 10th", "gestern", "昨天", "10 сентября 2023"])
def test_a_day_in_any_spelling_is_found(memory: Memory, user: str, query: str) -> None:
    add_days(memory, user)
    assert first(memory, query, user) == "2023-09-10"


def test_yesterday_is_that_of_the_time_zone_of_the_call(memory: Memory, user: str) -> None:
    add_days(memory, user)
    assert first(memory, "What did I do yesterday?", user) == "2023-09-10"
    assert first(memory, "What did I do yesterday?", user, LOS_ANGELES) == "2023-09-09"
    assert first(memory, "What did I do yesterday?", user, ZoneInfo(LOS_ANGELES)) == "2023-09-09"
    assert first(memory, "What did I do yesterday?", user, "-07:00") == "2023-09-09"
    block = memory.context("What did I do yesterday?", user, timezone=LOS_ANGELES)
    assert block.text.splitlines()[0].startswith("- Walked j")


def test_yesterday_is_that_of_the_time_zone_of_the_client(provider: dict[str, Any], user: str) -> None:
    with Memory(**provider, embedder="hashing", timezone=LOS_ANGELES) as memory:
        add_days(memory, user)
        assert first(memory, "What did I do yesterday?", user) == "2023-09-09"
        assert first(memory, "What did I do yesterday?", user, "UTC") == "2023-09-10"


def test_a_memory_is_from_the_day_where_it_was_said(memory: Memory, user: str) -> None:
    late = memory.add(content="Walked home", user_id=user, valid_from="2023-09-09T23:30:00-07:00")
    memory.add(content="Walked out", user_id=user, valid_from="2023-09-10T06:30:00Z")
    assert late.valid_from == datetime(2023, 9, 10, 6, 30, tzinfo=UTC)
    assert late.valid_from.utcoffset() == UTC.utcoffset(None)
    assert [hit.memory.content for hit in memory.search("2023-09-09", user, limit=1)] == ["Walked home"]
    assert [hit.memory.content for hit in memory.search("2023-09-10", user, limit=1)] == ["Walked out"]


def test_memories_added_at_once_are_from_the_day_where_they_were_said(memory: Memory, user: str) -> None:
    times = {"Walked home": "2023-09-09T23:30:00-07:00", "Walked out": "2023-09-10T06:30:00Z"}
    memory.add_many([{"content": text, "user_id": user, "valid_from": time} for text, time in times.items()])
    assert [hit.memory.content for hit in memory.search("2023-09-09", user, limit=1)] == ["Walked home"]


def test_a_new_text_is_from_the_same_day(memory: Memory, user: str) -> None:
    late = memory.add(content="Walked home", user_id=user, valid_from="2023-09-09T23:30:00-07:00")
    [early] = memory.add_many([{"content": "Walked", "user_id": user, "valid_from": "2023-09-10T06:30:00Z"}])
    for record in (late, early):
        memory.update(record.id, content=f"{record.content} slowly")
    for renewed in (0, memory.reindex(everything=True)):
        assert memory.search("2023-09-09", user, limit=1)[0].memory.id == late.id, renewed
        assert memory.search("2023-09-10", user, limit=1)[0].memory.id == early.id, renewed


def test_both_modes_mean_the_same_days(provider: dict[str, Any], user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AsyncPorts, "now", lambda ports: NOW)

    async def yesterdays() -> list[str]:
        async with AsyncMemory(**provider, embedder="hashing", timezone=LOS_ANGELES) as memory:
            for day in (8, 9, 10):
                time = f"2023-09-{day:02}T12:00:00-07:00"
                await memory.add(content=f"Walked {day} miles", user_id=user, valid_from=time)
            found = [
                await memory.search("What did I do yesterday?", user, limit=1, timezone=timezone)
                for timezone in (None, "UTC")
            ]
            return [hit.memory.content for [hit] in found]

    assert asyncio.run(yesterdays()) == ["Walked 9 miles", "Walked 10 miles"]
