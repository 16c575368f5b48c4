"""Memories that replace others."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ...errors import ConflictError, InvalidRequestError
from ...models import MemoryRecord
from ..contract import Contract, requires


class SupersessionContract(Contract):
    """`supersedes` of `add`, `update` and `add_many`."""

    @requires("add", "get", "list", "search", "context", "supports_supersession")
    async def test_a_new_memory_ends_the_ones_it_supersedes(self) -> None:
        old = await self.memory.add(content="drinks tea", user_id=self.user)
        older = await self.memory.add(content="drinks tea at night", user_id=self.user)
        new = await self.memory.add(content="drinks no tea", user_id=self.user, supersedes=[old.id, older.id])
        assert new.supersedes == [old.id, older.id]
        assert new.valid_to is None
        assert [hit.memory.id for hit in await self.memory.search("tea", self.user)] == [new.id]
        assert [c.memory_id for c in (await self.memory.context("tea", self.user)).citations] == [new.id]
        for record in (old, older):
            ended = await self.memory.get(record.id)
            assert ended.valid_to is not None
            assert record.created_at <= ended.valid_to <= new.created_at
            assert ended.content == record.content
        assert len((await self.memory.list(self.user)).items) == 3

    @requires("add", "get", "update", "supports_supersession")
    async def test_an_update_appends_to_what_it_supersedes(self) -> None:
        old = [(await self.memory.add(content="drinks tea", user_id=self.user)).id for _ in range(8)]
        record = await self.memory.add(content="drinks coffee", user_id=self.user, supersedes=old[:1])
        for _ in range(2):
            record = await self.memory.update(record.id, supersedes=[*old[:3:-1], *old])
            assert record.supersedes == [*old[:1], *old[:3:-1], *old[1:4]]
        for id in old:
            assert (await self.memory.get(id)).valid_to is not None
        assert record.content == "drinks coffee"
        assert record.valid_to is None

    @requires("add", "get", "update", "list", "supports_supersession")
    async def test_superseding_the_unknown_writes_nothing(self) -> None:
        mine = await self.memory.add(content="drinks tea", user_id=self.user)
        target = await self.memory.add(content="drinks milk", user_id=self.user)
        hers = await self.memory.add(content="drinks tea", user_id=self.other)
        for unknown in ("mem_unknown", hers.id):
            with pytest.raises(InvalidRequestError, match="supersedes"):
                await self.memory.add(content="new", user_id=self.user, supersedes=[mine.id, unknown])
            with pytest.raises(InvalidRequestError, match="supersedes"):
                await self.memory.update(target.id, content="new", supersedes=[mine.id, unknown])
        assert (await self.memory.list(self.user)).items == [target, mine]
        assert await self.memory.get(hers.id) == hers

    @requires("add", "get", "supports_supersession", "temporal")
    async def test_a_memory_ends_when_what_replaces_it_begins(self) -> None:
        year = datetime(2024, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
        for begin, replaced_from, end in [(None, year[0], year[0]), (None, year[1], year[1]), (year[1], None, year[1])]:
            old = await self.memory.add(content="old", user_id=self.user, valid_from=begin)
            await self.memory.add(content="new", user_id=self.user, valid_from=replaced_from, supersedes=[old.id])
            assert (await self.memory.get(old.id)).valid_to == end

    async def _ended(self, how: str) -> MemoryRecord:
        """A memory that has ended."""
        if how == "by its end":
            end = datetime.now(UTC) - timedelta(days=1)
            return await self.memory.add(content="drinks tea", user_id=self.user, valid_to=end)
        begin = datetime(9000, 1, 1, tzinfo=UTC) if how == "before it began" else None
        old = await self.memory.add(content="drinks tea", user_id=self.user, valid_from=begin)
        await self.memory.add(content="drinks coffee", user_id=self.user, supersedes=[old.id])
        return await self.memory.get(old.id)

    @requires("add", "get", "list", "supports_supersession", "temporal")
    @pytest.mark.parametrize("how", ["by a replacement", "by its end", "before it began"])
    async def test_a_second_replacement_is_a_conflict(self, how: str) -> None:
        ended = await self._ended(how)
        current = await self.memory.add(content="drinks water", user_id=self.user)
        other = await self.memory.add(content="drinks", user_id=self.user)
        before = (await self.memory.list(self.user)).items

        def check(conflict: pytest.ExceptionInfo[ConflictError]) -> None:
            error = conflict.value
            assert (error.code, error.type) == ("conflict", "conflict")
            assert error.request_id
            assert repr(ended.id) in error.message
            assert current.id not in error.message
            assert "supersede_ended" in error.message

        arguments: dict[str, Any] = {"content": "drinks milk", "user_id": self.user}
        with pytest.raises(ConflictError, match=r"^supersedes: ") as conflict:
            await self.memory.add(**arguments, supersedes=[current.id, ended.id])
        check(conflict)
        if self.offers("update"):
            with pytest.raises(ConflictError, match=r"^supersedes: ") as conflict:
                await self.memory.update(other.id, content="drinks milk", supersedes=[current.id, ended.id])
            check(conflict)
        if self.offers("add_many"):
            records: list[dict[str, Any]] = [arguments, {**arguments, "supersedes": [current.id, ended.id]}]
            with pytest.raises(ConflictError, match=r"^records\[1\]\.supersedes: ") as conflict:
                await self.memory.add_many(records)
            check(conflict)
        assert (await self.memory.list(self.user)).items == before

    @requires("add", "get", "supports_supersession", "temporal")
    async def test_what_ended_can_be_replaced_by_those_who_say_so(self) -> None:
        ended = await self._ended("by a replacement")
        allowed: dict[str, Any] = {"supersedes": [ended.id], "supersede_ended": True}
        arguments: dict[str, Any] = {"content": "drinks milk", "user_id": self.user}
        new = [await self.memory.add(**arguments, **allowed)]
        if self.offers("update"):
            record = await self.memory.add(**arguments)
            new.append(await self.memory.update(record.id, **allowed))
            new.append(await self.memory.update(record.id, supersedes=[ended.id, ended.id]))
        if self.offers("add_many"):
            new += await self.memory.add_many([{**arguments, **allowed}])
        for record in new:
            assert record.supersedes == [ended.id]
            assert "supersede_ended" not in (record.model_extra or {})
            assert (await self.memory.get(record.id)).supersedes == [ended.id]
        assert await self.memory.get(ended.id) == ended

    @requires("add", "get", "supports_supersession", "temporal")
    async def test_what_has_not_ended_yet_can_be_replaced(self) -> None:
        end = datetime.now(UTC) + timedelta(days=1)
        old = await self.memory.add(content="drinks tea", user_id=self.user, valid_to=end)
        new = await self.memory.add(content="drinks milk", user_id=self.user, supersedes=[old.id, old.id])
        ended = await self.memory.get(old.id)
        assert ended.valid_to is not None
        assert ended.valid_to <= new.created_at

    @requires("add_many", "add", "supports_supersession")
    async def test_one_call_may_replace_a_memory_by_several(self) -> None:
        old = await self.memory.add(content="drinks tea and coffee", user_id=self.user)
        part: dict[str, Any] = {"user_id": self.user, "supersedes": [old.id]}
        await self.memory.add_many([{"content": "drinks tea", **part}, {"content": "drinks coffee", **part}])
        allowing = {"content": "a", **part, "supersede_ended": True}
        with pytest.raises(ConflictError, match=r"^records\[1\]\."):
            await self.memory.add_many([allowing, {"content": "b", **part}])
        await self.memory.add_many([allowing, allowing])

    @requires("add", "get", "update", "search", "supports_supersession", "atomic_supersession")
    async def test_of_replacements_at_the_same_moment_one_wins(self) -> None:
        many = self.offers("add_many")
        for number in range(4):
            user = f"{self.user}-{number}"
            old = await self.memory.add(content="lives in Leeds", user_id=user)
            other = await self.memory.add(content="speaks English", user_id=user)

            def adding(city: str, user: str = user, old: str = old.id) -> Callable[[], Coroutine[Any, Any, Any]]:
                return lambda: self.memory.add(content=f"lives in {city}", user_id=user, supersedes=[old])

            def updating(id: str = other.id, old: str = old.id) -> Callable[[], Coroutine[Any, Any, Any]]:
                return lambda: self.memory.update(id, content="lives in Lima", supersedes=[old])

            def batch(user: str = user, old: str = old.id) -> Callable[[], Coroutine[Any, Any, Any]]:
                records = [{"content": "lives in Rome", "user_id": user, "supersedes": [old]}]
                return lambda: self.memory.add_many(records)

            calls = [adding("Porto"), adding("Oslo"), updating(), *([batch()] if many else [])]
            answers = await self.mode.at_once(*calls)
            lost = [answer for answer in answers if isinstance(answer, ConflictError)]
            assert len(lost) == len(calls) - 1, answers
            assert len({error.request_id for error in lost}) == len(lost)
            found = [hit.memory for hit in await self.memory.search("lives in", user, limit=100)]
            assert [record.supersedes for record in found if "lives in" in record.content] == [[old.id]]

    @requires("add", "get", "list", "search", "supports_supersession", "scopes")
    async def test_a_record_names_only_what_its_reader_may_read(self) -> None:
        """What was deleted is no longer known to be readable, so it is named to those who may read everything."""
        shown = await self.memory.add(content="tea at work", user_id=self.user, scope="work/a")
        hidden = await self.memory.add(content="tea at home", user_id=self.user, scope="home")
        gone = await self.memory.add(content="tea", user_id=self.user, scope="work/a")
        both = await self.memory.add(
            content="no tea", user_id=self.user, scope="work/b", supersedes=[hidden.id, shown.id, gone.id]
        )
        only_hidden = await self.memory.add(
            content="no tea", user_id=self.user, scope="work/b", supersedes=[hidden.id], supersede_ended=True
        )
        names: dict[str, list[str] | None] = {both.id: [shown.id], only_hidden.id: None}
        if self.offers("delete"):
            await self.memory.delete(gone.id)
        else:
            names[both.id] = [shown.id, gone.id]
        async with self.client(grants=["read:work/*", "write:*"]) as limited:
            for record in (both, only_hidden):
                assert await limited.get(record.id) == record.model_copy(update={"supersedes": names[record.id]})
            for scope in (None, "work/b", "work/*"):
                listed = {item.id: item.supersedes for item in (await limited.list(self.user, scope=scope)).items}
                found = [hit.memory for hit in await limited.search("no tea", self.user, scope=scope)]
                assert {id: listed[id] for id in names} == names
                assert {record.id: record.supersedes for record in found} == names
            more: dict[str, Any] = {"supersedes": [hidden.id, shown.id], "supersede_ended": True}
            record = await limited.add(content="no milk", user_id=self.user, scope="work/c", **more)
            assert record.supersedes == [shown.id]
            if self.offers("update"):
                updated = await limited.update(only_hidden.id, **more)
                assert updated.supersedes == [shown.id]
                assert (await limited.update(record.id, tags=["t"])).supersedes == [shown.id]
            if self.offers("add_many"):
                [batched] = await limited.add_many([{"content": "x", "user_id": self.user, "scope": "work", **more}])
                assert batched.supersedes == [shown.id]
        assert (await self.memory.get(both.id)).supersedes == [hidden.id, shown.id, gone.id]
        assert (await self.memory.get(record.id)).supersedes == [hidden.id, shown.id]
        if self.offers("update"):
            assert (await self.memory.get(only_hidden.id)).supersedes == [hidden.id, shown.id]
        async with self.client(grants=["write:*"]) as writer:
            record = await writer.add(content="no milk", user_id=self.user, **more)
            assert record.supersedes is None
