"""Storing many memories in one call."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ...errors import InvalidRequestError, ScopeDeniedError
from .. import cases
from ..contract import Contract, requires


class AddManyContract(Contract):
    """`add_many`."""

    @requires("add_many", "get", "list", "scopes", "temporal")
    async def test_many_memories_are_stored_like_one(self) -> None:
        every_field: dict[str, Any] = {
            "scope": "coding/preferences",
            "tags": ["b", "ä", "b"],
            "source": {"app": "editor", "type": "explicit", "ref": "msg-1", "model": None},
            "confidence": 0.1,
            "valid_from": datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
            "valid_to": datetime.max,
            "x-mem0": {"deep": [1, 2.5, True, None, {"a": "ä"}], "big": 2**70, "huge": 1e23},
            "x-my_app-2": "text",
            "x-none": None,
        }
        given: list[dict[str, Any]] = [
            {"content": "prefers dark mode"},
            {"content": "prefers light mode", **every_field},
            {"content": "no tags", "tags": [], "scope": None, "valid_from": datetime.min},
            *({"content": text, "tags": [text]} for text in cases.HOSTILE.values()),
        ]
        stored = await self.memory.add_many({"user_id": self.user, **one} for one in given)
        assert len({record.id for record in stored}) == len(given)
        for one, record in zip(given, stored, strict=True):
            alone = await self.memory.add(user_id=self.other, **one)
            set_by_the_backend = {"id": record.id, "user_id": self.user, "created_at": record.created_at}
            assert record == alone.model_copy(update=set_by_the_backend)
            assert await self.memory.get(record.id) == record
        listed = await self.memory.list(self.user, limit=500)
        assert listed.items == stored[::-1]

    @requires("add_many", "list")
    async def test_many_memories_keep_their_order_for_each_user(self) -> None:
        stored = await self.memory.add_many(
            {"content": f"note {number}", "user_id": user} for number in range(20) for user in (self.user, self.other)
        )
        assert [record.user_id for record in stored] == [self.user, self.other] * 20
        last = [await self.memory.add_many([{"content": "last", "user_id": self.user}])]
        for user, later in ((self.user, last[0]), (self.other, [])):
            own = [record for record in stored if record.user_id == user]
            assert (await self.memory.list(user)).items == [*own, *later][::-1]

    @requires("add_many", "search")
    async def test_many_memories_are_found_at_once(self) -> None:
        texts = ["likes green tea", "plays the cello", "moved to Lisbon"]
        stored = await self.memory.add_many([{"content": text, "user_id": self.user} for text in texts])
        for record in stored:
            assert (await self.memory.search(record.content, self.user))[0].memory == record
        assert await self.memory.search(texts[0], self.other) == []

    @requires("add_many", "list")
    async def test_no_memories_are_stored_at_once(self) -> None:
        told: list[tuple[int, int]] = []
        assert await self.memory.add_many([], progress=lambda done, total: told.append((done, total))) == []
        assert told == []

    @requires("add_many", "list")
    async def test_progress_tells_of_all_in_the_end(self) -> None:
        told: list[tuple[int, int]] = []
        records = [{"content": f"note {number}", "user_id": self.user} for number in range(3)]
        await self.memory.add_many(records, progress=lambda done, total: told.append((done, total)))
        assert told == [(3, 3)]

    @requires("add_many", "list")
    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"content": ""}, "content: is empty"),
            ({"user_id": "a\0b"}, "user_id: has a NUL"),
            ({"content": None}, "content: "),
            ({"tags": "tea"}, "tags: "),
            ({"confidence": 2}, "confidence: "),
            ({"nonsense": 1}, "extensions: 'nonsense' is not a field"),
            ({"extensions": {"x-a": 1}}, "extensions: 'extensions' is not a field"),
            ({"valid_from": "2025-01-01", "valid_to": "2024-01-01"}, "valid_to: "),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    async def test_one_wrong_record_refuses_all(self, wrong: dict[str, Any], message: str) -> None:
        records: list[dict[str, Any]] = [{"content": "tea", "user_id": self.user} for _ in range(20)]
        records[17] |= wrong
        async with self.no_io_client() as client:
            with pytest.raises(InvalidRequestError) as refusal:
                await client.add_many(records)
        assert refusal.value.message.startswith(f"records[17].{message}")
        assert str(refusal.value) == refusal.value.message
        assert (await self.memory.list(self.user)).items == []

    @requires("add_many", "list", "max_content_length")
    async def test_many_memories_are_bounded_as_advertised(self) -> None:
        bound = self.capabilities.features.max_content_length
        assert bound is not None
        records = [{"content": "tea", "user_id": self.user}, {"content": "x" * (bound + 1), "user_id": self.user}]
        with pytest.raises(InvalidRequestError, match=rf"^records\[1\]\.content: {bound + 1} characters"):
            await self.memory.add_many(records)
        assert (await self.memory.list(self.user)).items == []

    @requires("add_many", "add", "get", "supports_supersession", "temporal")
    async def test_many_memories_supersede_others(self) -> None:
        old = [await self.memory.add(content=f"old {number}", user_id=self.user) for number in range(3)]
        moment = datetime(2030, 1, 1, tzinfo=UTC)
        new = await self.memory.add_many(
            [
                {"content": "a", "user_id": self.user, "supersedes": [old[0].id, old[1].id]},
                {"content": "b", "user_id": self.user, "supersedes": [old[0].id], "valid_from": moment},
                {"content": "c", "user_id": self.user, "supersedes": [old[2].id], "valid_from": moment},
            ]
        )
        assert [record.supersedes for record in new] == [[old[0].id, old[1].id], [old[0].id], [old[2].id]]
        ends = [(await self.memory.get(record.id)).valid_to for record in old]
        assert ends == [new[0].created_at, new[0].created_at, moment]

    @requires("add_many", "add", "get", "list", "supports_supersession")
    @pytest.mark.parametrize("whose", ["nobody's", "another user's"])
    async def test_an_unknown_superseded_memory_refuses_all(self, whose: str) -> None:
        known = await self.memory.add(content="old", user_id=self.user)
        other = await self.memory.add(content="old", user_id=self.other)
        records = [
            {"content": "a", "user_id": self.user, "supersedes": [known.id]},
            {"content": "b", "user_id": self.user, "supersedes": [other.id if whose != "nobody's" else "mem_unknown"]},
        ]
        with pytest.raises(InvalidRequestError, match=r"^records\[1\]\.supersedes: "):
            await self.memory.add_many(records)
        assert (await self.memory.list(self.user)).items == [known]
        assert await self.memory.get(other.id) == other

    @requires("add_many", "audit", "supports_audit")
    async def test_many_memories_leave_an_entry_each(self) -> None:
        records: list[dict[str, Any]] = [
            {"content": "a", "user_id": self.user, "scope": "s"},
            {"content": "b", "user_id": self.user, "source": {"app": "editor"}},
        ]
        stored = await self.memory.add_many(records)
        entries = [entry for entry in await self.memory.audit(self.user) if entry.action == "add"]
        told = [(entry.memory_id, entry.scope, entry.app) for entry in entries]
        assert told == [(stored[1].id, None, "editor"), (stored[0].id, "s", None)]
        assert len({entry.request_id for entry in entries}) == 1

    @requires("add_many", "list", "scopes")
    async def test_write_grants_cover_many_memories(self) -> None:
        async with self.client(grants=["write:coding/*"]) as limited:
            scopes = ["coding/a", "coding/b", "health"]
            records = [{"content": "tea", "user_id": self.user, "scope": scope} for scope in scopes]
            with pytest.raises(ScopeDeniedError, match=r"^records\[2\]: .*write:health"):
                await limited.add_many(records)
            assert (await self.memory.list(self.user)).items == []
            assert len(await limited.add_many(records[:2])) == 2
