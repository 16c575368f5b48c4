"""The verbs that take the id of a memory."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ...errors import InvalidRequestError, NotFoundError
from ...models import MemoryRecord
from ..contract import Contract, requires


class GetContract(Contract):
    """`get` of ids without a memory; `AddContract` has the rest."""

    @requires("get")
    async def test_get_of_an_unknown_id(self) -> None:
        await self.assert_not_found("get")


class UpdateContract(Contract):
    """`update`."""

    async def _full(self) -> MemoryRecord:
        extensions: dict[str, Any] = {"x-a": {"k": [1]}}
        return await self.memory.add(
            content="first text",
            user_id=self.user,
            scope="a/b",
            tags=["one"],
            source={"app": "x", "ref": "r"},
            confidence=0.5,
            valid_from=datetime(2024, 1, 1, tzinfo=UTC),
            valid_to=datetime(9000, 1, 1, tzinfo=UTC),
            **extensions,
        )

    @requires("add", "get", "update", "scopes", "temporal")
    @pytest.mark.parametrize(
        "change",
        [
            {"content": "second text"},
            {"scope": "c"},
            {"tags": ["two", "three"]},
            {"tags": []},
            {"confidence": 0.0},
            {"valid_to": datetime(9001, 1, 1, tzinfo=UTC)},
            {"scope": None},
            {"tags": None},
            {"confidence": None},
            {"valid_to": None},
            {"valid_from": datetime(2023, 1, 1, tzinfo=UTC)},
            {"valid_from": None},
            {"content": "third text", "scope": None, "tags": ["x"], "confidence": 1.0, "valid_to": None},
        ],
        ids=repr,
    )
    async def test_an_update_changes_what_is_given_and_keeps_the_rest(self, change: dict[str, Any]) -> None:
        before = await self._full()
        after = await self.memory.update(before.id, **change)
        kept = {"id", "content", "user_id", "created_at", "scope", "tags", "source", "confidence", "valid_from"}
        kept |= {"valid_to", "supersedes", "x-a"}
        for name in kept - set(change):
            assert getattr(after, name) == getattr(before, name)
        for name, value in change.items():
            assert getattr(after, name) == value
        assert after.updated_at is not None
        assert after.updated_at >= before.created_at
        assert await self.memory.get(before.id) == after

    @requires("add", "update", "temporal")
    async def test_an_update_cannot_end_before_the_beginning(self) -> None:
        record = await self.memory.add(content="x", user_id=self.user, valid_from=datetime(2024, 1, 1))
        with pytest.raises(InvalidRequestError, match="valid_to"):
            await self.memory.update(record.id, content="y", valid_to=datetime(2023, 1, 1))
        unchanged = await self.memory.get(record.id)
        assert (unchanged.content, unchanged.valid_to) == ("x", None)
        record = await self.memory.add(content="x", user_id=self.user, valid_to=datetime(2024, 1, 1))
        with pytest.raises(InvalidRequestError, match="valid_from"):
            await self.memory.update(record.id, content="y", valid_from=datetime(2025, 1, 1))
        moved = await self.memory.update(record.id, valid_from="2025-01-01", valid_to="2026-01-01")
        assert (moved.content, moved.valid_from) == ("x", datetime(2025, 1, 1, tzinfo=UTC))

    @requires("update")
    async def test_update_of_an_unknown_id(self) -> None:
        await self.assert_not_found("update")


class DeleteContract(Contract):
    """`delete`."""

    @requires("add", "delete", "get", "list")
    async def test_a_deleted_memory_is_gone(self) -> None:
        gone = await self.memory.add(content="tea", user_id=self.user)
        stays = await self.memory.add(content="tea", user_id=self.user)
        await self.memory.delete(gone.id)
        with pytest.raises(NotFoundError):
            await self.memory.get(gone.id)
        with pytest.raises(NotFoundError):
            await self.memory.delete(gone.id)
        assert [item.id for item in (await self.memory.list(self.user)).items] == [stays.id]

    @requires("delete")
    async def test_delete_of_an_unknown_id(self) -> None:
        await self.assert_not_found("delete")
