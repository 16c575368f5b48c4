"""Storing one memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from datetime import timezone as fixed_offset
from typing import Any

import pytest

from ..contract import Contract, requires


class AddContract(Contract):
    """`add`, and `get` of what it stored."""

    @requires("add", "get")
    async def test_a_bare_memory(self) -> None:
        before = datetime.now(UTC) - timedelta(minutes=5)
        record = await self.memory.add(content="likes green tea", user_id=self.user)
        assert record.id
        assert record.content == "likes green tea"
        assert record.user_id == self.user
        assert before < record.created_at < datetime.now(UTC) + timedelta(minutes=5)
        assert record.created_at.utcoffset() == timedelta(0)
        for name in ("scope", "tags", "source", "confidence", "valid_from", "valid_to", "supersedes"):
            assert getattr(record, name) is None
        assert record.extensions == {}
        assert await self.memory.get(record.id) == record

    @requires("add", "get", "list", "scopes", "temporal")
    async def test_every_field_comes_back(self) -> None:
        extension: Any = {
            "deep": [1, 2.5, True, None, {"a": "ä"}],
            "empty": {},
            "big": 2**70,
            "huge": 1e23,
            "tiny": 1e-300,
            "longest": 10**640 - 1,
        }
        extensions: dict[str, Any] = {"x-mem0": extension, "x-my_app-2": "text", "x-none": None}
        added = await self.memory.add(
            content="prefers dark mode",
            user_id=self.user,
            scope="coding/preferences",
            tags=["b", "a", "b"],
            source={"app": "editor", "type": "explicit", "ref": "msg-1", "model": None},
            confidence=0.75,
            valid_from=datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
            valid_to=datetime(9000, 1, 1, tzinfo=UTC),
            **extensions,
        )
        [listed] = (await self.memory.list(self.user)).items
        for record in (added, await self.memory.get(added.id), listed):
            assert record.content == "prefers dark mode"
            assert record.scope == "coding/preferences"
            assert record.tags == ["b", "a", "b"]
            assert record.source is not None
            assert record.source.to_wire() == {"app": "editor", "type": "explicit", "ref": "msg-1", "model": None}
            assert record.confidence == 0.75
            assert record.valid_from == datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
            assert record.valid_to == datetime(9000, 1, 1, tzinfo=UTC)
            assert record.extensions == extensions
            assert record.created_at == added.created_at
            assert record.status == "stored"

    @requires("add", "get")
    @pytest.mark.parametrize("confidence", [0.0, 1.0, 0.1, 1])
    async def test_confidence_comes_back_exactly(self, confidence: float) -> None:
        record = await self.memory.add(content="x", user_id=self.user, confidence=confidence)
        assert record.confidence == confidence
        assert (await self.memory.get(record.id)).confidence == confidence

    @requires("add", "get")
    async def test_no_tags_are_not_an_empty_list_of_tags(self) -> None:
        empty = await self.memory.add(content="x", user_id=self.user, tags=[])
        absent = await self.memory.add(content="x", user_id=self.user)
        assert (await self.memory.get(empty.id)).tags == []
        assert (await self.memory.get(absent.id)).tags is None

    @requires("add", "get", "temporal")
    @pytest.mark.parametrize(
        ("given", "meant"),
        [
            (datetime(2024, 6, 1, 12), datetime(2024, 6, 1, 12, tzinfo=UTC)),
            (
                datetime(2024, 6, 1, 12, tzinfo=fixed_offset(timedelta(hours=-5, minutes=-30))),
                datetime(2024, 6, 1, 17, 30, tzinfo=UTC),
            ),
            ("2024-06-01T12:00:00.000001", datetime(2024, 6, 1, 12, 0, 0, 1, tzinfo=UTC)),
            ("2024-06-01T12:00:00+02:00", datetime(2024, 6, 1, 10, tzinfo=UTC)),
            ("2024-06-01T12:00:00Z", datetime(2024, 6, 1, 12, tzinfo=UTC)),
            ("20240601", datetime(2024, 6, 1, tzinfo=UTC)),
            (datetime.min, datetime.min.replace(tzinfo=UTC)),
        ],
        ids=["naive", "offset", "naive text", "offset text", "Z", "date", "year 1"],
    )
    async def test_times_are_kept_in_utc(self, given: datetime | str, meant: datetime) -> None:
        record = await self.memory.add(content="x", user_id=self.user, valid_from=given)
        assert record.valid_from == meant
        assert (await self.memory.get(record.id)).valid_from == meant

    @requires("add", "get", "temporal")
    async def test_the_last_moment_of_all_can_be_stored(self) -> None:
        end = datetime.max.replace(tzinfo=UTC)
        record = await self.memory.add(content="x", user_id=self.user, valid_to=end)
        assert (await self.memory.get(record.id)).valid_to == end

    @requires("add", "get")
    async def test_ids_are_unique(self) -> None:
        records = [await self.memory.add(content="the same text", user_id=self.user) for _ in range(5)]
        assert len({record.id for record in records}) == 5
