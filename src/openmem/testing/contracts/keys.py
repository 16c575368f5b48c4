"""Memories under keys, and versions."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest

from ...errors import ConflictError, InvalidRequestError, NotFoundError, ScopeDeniedError
from ...models import MemoryRecord
from .. import cases
from ..contract import Contract, requires

AT_ONCE = 64


class KeysContract(Contract):
    """`put`, `get_by_key`, and ``key`` of other verbs."""

    async def _put(self, content: str = "likes tea", key: str = "drink", **arguments: Any) -> MemoryRecord:
        return await self.memory.put(key=key, content=content, user_id=self.user, **arguments)

    @requires("put", "get_by_key", "get", "list", "keys", "versions", "temporal", "metadata")
    async def test_put_creates_and_then_replaces(self) -> None:
        extensions: dict[str, Any] = {"x-app": {"a": 1}}
        first = await self._put(
            tags=["a"],
            source={"app": "one"},
            confidence=0.5,
            valid_from=datetime(2024, 1, 1, tzinfo=UTC),
            valid_to=datetime(9000, 1, 1, tzinfo=UTC),
            metadata={"n": 1},
            **extensions,
        )
        assert (first.key, first.version, first.updated_at, first.metadata) == ("drink", 1, None, {"n": 1})
        assert first.extensions == extensions
        assert await self.memory.get_by_key("drink", self.user) == first
        second = await self._put("likes milk", metadata={"m": 2})
        assert (second.id, second.created_at, second.version) == (first.id, first.created_at, 2)
        assert second.updated_at is not None
        assert second.updated_at > first.created_at
        assert (second.content, second.key, second.metadata) == ("likes milk", "drink", {"m": 2})
        for name in ("tags", "source", "confidence", "valid_from", "valid_to", "supersedes"):
            assert getattr(second, name) is None
        assert second.extensions == {}
        assert await self.memory.get_by_key("drink", self.user) == second
        assert await self.memory.get(first.id) == second
        assert (await self.memory.list(self.user)).items == [second]

    @requires("put", "search", "keys")
    async def test_search_follows_a_replacement(self) -> None:
        await self._put("Collects antique typewriters")
        record = await self._put("is allergic to peanuts")
        assert (await self.memory.search("allergic to peanuts", self.user))[0].memory == record
        assert all(
            "typewriters" not in hit.memory.content for hit in await self.memory.search("typewriters", self.user)
        )

    @requires("put", "get_by_key", "list", "keys", "scopes")
    async def test_a_key_belongs_to_a_user_and_a_scope(self) -> None:
        places = [(self.user, None), (self.user, "a"), (self.user, "a/b"), (self.user, "A"), (self.other, None)]
        put = {
            place: await self.memory.put(key="k", content=f"tea {number}", user_id=place[0], scope=place[1])
            for number, place in enumerate(places)
        }
        for (user, scope), record in put.items():
            assert (record.scope, record.version or 1) == (scope, 1)
            assert await self.memory.get_by_key("k", user, scope=scope) == record
        assert len((await self.memory.list(self.user)).items) == 4
        for key, user, scope in [("k", self.other, "a"), ("k", self.user, "b"), ("K", self.user, None), ("", "", "")]:
            if key:
                with pytest.raises(NotFoundError, match=re.escape(repr(key))):
                    await self.memory.get_by_key(key, user, scope=scope)

    @requires("put", "get_by_key", "keys")
    async def test_awkward_keys(self) -> None:
        keys = [text[:512] for text in (*cases.HOSTILE.values(), cases.HALVES, "x" * 512, "é" * 512, " k ", "k", "K")]
        put = {key: await self._put(f"tea of {number}", key) for number, key in enumerate(keys)}
        assert len({record.id for record in put.values()}) == len(keys)
        for key, record in put.items():
            assert record.key == key.replace(cases.HALVES, cases.WHOLE)
            assert await self.memory.get_by_key(key, self.user) == record

    @requires("add", "get_by_key", "list", "keys")
    async def test_a_key_in_use_is_a_conflict(self) -> None:
        taken = await self.memory.add(content="tea", user_id=self.user, key="k")
        free = await self.memory.add(content="milk", user_id=self.user, key="free")
        with pytest.raises(ConflictError, match=r"^key: .*'k'") as refusal:
            await self.memory.add(content="coffee", user_id=self.user, key="k")
        assert (refusal.value.code, refusal.value.type) == ("conflict", "conflict")
        assert refusal.value.request_id
        assert (await self.memory.list(self.user)).items == [free, taken]
        assert await self.memory.get_by_key("k", self.user) == taken
        await self.memory.add(content="tea of another", user_id=self.other, key="k")

    @requires("add_many", "add", "list", "keys")
    async def test_a_key_in_use_refuses_all(self) -> None:
        taken = await self.memory.add(content="tea", user_id=self.user, key="k")
        part: dict[str, Any] = {"content": "coffee", "user_id": self.user}
        for wrong in ([part, {**part, "key": "k"}], [{**part, "key": "new"}, {**part, "key": "new"}]):
            with pytest.raises(ConflictError, match=r"^records\[1\]\.key: "):
                await self.memory.add_many(wrong)
            assert (await self.memory.list(self.user)).items == [taken]
        stored = await self.memory.add_many([{**part, "key": "x"}, {**part, "user_id": self.other, "key": "k"}])
        assert [record.key for record in stored] == ["x", "k"]
        if self.offers("scopes"):
            scopes = ["a", None, "b"]
            stored = await self.memory.add_many([{**part, "key": "y", "scope": scope} for scope in scopes])
            assert [(record.key, record.scope) for record in stored] == [("y", scope) for scope in scopes]

    @requires("add", "update", "get", "get_by_key", "keys", "scopes")
    async def test_a_key_moves_with_its_memory(self) -> None:
        record = await self.memory.add(content="tea", user_id=self.user, key="k", scope="a")
        there = await self.memory.add(content="milk", user_id=self.user, key="k", scope="b")
        with pytest.raises(ConflictError, match=r"^key: .*'k'"):
            await self.memory.update(record.id, scope="b", tags=["x"])
        assert await self.memory.get(record.id) == record
        moved = await self.memory.update(record.id, scope="c")
        assert moved.key == "k"
        assert await self.memory.get_by_key("k", self.user, scope="c") == moved
        assert await self.memory.get_by_key("k", self.user, scope="b") == there
        with pytest.raises(NotFoundError):
            await self.memory.get_by_key("k", self.user, scope="a")
        assert (await self.memory.update(moved.id, scope="c", tags=["y"])).tags == ["y"]

    @requires("add", "delete", "get_by_key", "keys")
    async def test_a_deleted_memory_gives_its_key_up(self) -> None:
        gone = await self.memory.add(content="tea", user_id=self.user, key="k")
        await self.memory.delete(gone.id)
        with pytest.raises(NotFoundError):
            await self.memory.get_by_key("k", self.user)
        record = await self.memory.add(content="milk", user_id=self.user, key="k")
        assert await self.memory.get_by_key("k", self.user) == record

    @requires("put", "get_by_key", "list", "keys", "versions")
    async def test_one_key_put_at_once_is_one_memory(self) -> None:
        def putting(number: int) -> Callable[[], Coroutine[Any, Any, Any]]:
            return lambda: self._put(f"tea number {number}")

        answers = await self.mode.at_once(*map(putting, range(AT_ONCE)))
        assert not [answer for answer in answers if not isinstance(answer, MemoryRecord)]
        assert sorted(record.version for record in answers) == list(range(1, AT_ONCE + 1))
        assert len({record.id for record in answers}) == 1
        [record] = (await self.memory.list(self.user)).items
        assert record == await self.memory.get_by_key("drink", self.user)
        assert record == max(answers, key=lambda answer: answer.version or 0)

    @requires("put", "list", "keys", "versions")
    async def test_of_those_who_create_at_once_one_wins(self) -> None:
        answers = await self.mode.at_once(*[lambda: self._put(if_version=0) for _ in range(8)])
        won = [answer for answer in answers if isinstance(answer, MemoryRecord)]
        assert [isinstance(answer, ConflictError) for answer in answers].count(True) == 7, answers
        assert (await self.memory.list(self.user)).items == won

    @requires("put", "get", "get_by_key", "list", "keys", "versions", "supports_supersession")
    async def test_history_can_be_kept(self) -> None:
        first = await self._put("likes tea", tags=["a"])
        second = await self._put("likes milk", keep_history=True)
        assert second.id != first.id
        assert (second.supersedes, second.key, second.updated_at) == ([first.id], "drink", None)
        assert second.version == 2
        old = await self.memory.get(first.id)
        assert (old.key, old.content, old.tags, old.version) == (None, "likes tea", ["a"], 2)
        assert old.valid_to is not None
        assert first.created_at <= old.valid_to <= second.created_at
        assert await self.memory.get_by_key("drink", self.user) == second
        assert (await self.memory.list(self.user)).items == [second, old]
        with pytest.raises(ConflictError, match=r"^if_version: .*'drink'"):
            await self._put("likes water", keep_history=True, if_version=1)
        assert (await self.memory.list(self.user)).items == [second, old]
        third = await self._put("likes water", keep_history=True, if_version=2)
        assert (third.supersedes, third.version) == ([second.id], 3)
        if self.offers("search"):
            assert [hit.memory.id for hit in await self.memory.search("likes", self.user)] == [third.id]

    @requires("put", "list", "get_by_key", "keys", "versions", "supports_supersession")
    async def test_kept_at_once_they_are_one_chain(self) -> None:
        def putting(number: int) -> Callable[[], Coroutine[Any, Any, Any]]:
            return lambda: self._put(f"tea number {number}", keep_history=True)

        answers = await self.mode.at_once(*map(putting, range(8)))
        assert not [answer for answer in answers if not isinstance(answer, MemoryRecord)]
        records = (await self.memory.list(self.user)).items
        assert len(records) == 8
        [current] = [record for record in records if record.key is not None]
        assert current == await self.memory.get_by_key("drink", self.user)
        assert [record.id for record in records if record.valid_to is None] == [current.id]
        superseded = [id for record in records for id in record.supersedes or ()]
        assert sorted([*superseded, current.id]) == sorted(record.id for record in records)

    @requires("put", "add", "get", "list", "keys", "supports_supersession")
    async def test_put_ends_what_it_supersedes(self) -> None:
        old = await self.memory.add(content="likes coffee", user_id=self.user)
        record = await self._put(supersedes=[old.id])
        assert record.supersedes == [old.id]
        assert (await self.memory.get(old.id)).valid_to is not None
        before = (await self.memory.list(self.user)).items
        for ids, error in [(["mem_unknown"], InvalidRequestError), ([old.id], ConflictError)]:
            with pytest.raises(error, match=r"^supersedes: "):
                await self._put("likes milk", supersedes=ids)
            with pytest.raises(error, match=r"^supersedes: "):
                await self._put("likes milk", "new", supersedes=ids)
        with pytest.raises(InvalidRequestError, match=r"^supersedes: "):
            await self._put("likes milk", supersedes=[record.id])
        assert (await self.memory.list(self.user)).items == before

    @requires("put", "get_by_key", "keys", "scopes")
    async def test_grants_cover_keys(self) -> None:
        record = await self._put(scope="a/b")
        async with self.client(grants=["read:a/*", "write:a/*"]) as limited:
            assert await limited.get_by_key("drink", self.user, scope="a/b") == record
            put = await limited.put(key="drink", content="likes milk", user_id=self.user, scope="a/b")
            assert put.id == record.id
            for scope in (None, "a", "b"):
                with pytest.raises(ScopeDeniedError, match="read:"):
                    await limited.get_by_key("drink", self.user, scope=scope)
                with pytest.raises(ScopeDeniedError, match="write:"):
                    await limited.put(key="drink", content="likes milk", user_id=self.user, scope=scope)

    @requires("put", "get_by_key", "audit", "keys", "supports_audit")
    async def test_keys_in_the_audit(self) -> None:
        record = await self._put(scope="a")
        await self._put("likes milk", scope="a")
        await self.memory.get_by_key("drink", self.user, scope="a")
        entries = await self.memory.audit(self.user)
        reads = [("get_by_key", record.id, "a")] if self.offers("audits_reads") else []
        expected = [*reads, ("put", record.id, "a"), ("put", record.id, "a")]
        assert [(entry.action, entry.memory_id, entry.scope) for entry in entries] == expected

    @requires("put", "delete", "restore", "search", "keys")
    async def test_a_text_in_place_of_another_is_from_the_same_day(self) -> None:
        stored = await self._put("sleeps")
        await self.memory.delete(stored.id)
        await self.memory.restore([stored.model_copy(update={"created_at": datetime(2023, 5, 1, 12, tzinfo=UTC)})])
        replaced = await self._put("walks with Anna")
        today = await self._put("walks with Anna", key="another")
        hits = await self.memory.search("walks on May 1st, 2023", self.user)
        assert [hit.memory for hit in hits] == [replaced, today]
        assert hits[0].score > hits[1].score + 0.1


class VersionsContract(Contract):
    """``version`` and ``if_version``."""

    @requires("add", "update", "get", "list", "versions")
    async def test_every_change_counts(self) -> None:
        record = await self.memory.add(content="tea", user_id=self.user)
        assert record.version == 1
        changes: list[dict[str, Any]] = [{"content": "milk"}, {"tags": ["a"]}, {"tags": ["a"]}, {"scope": None}]
        for version, change in enumerate(changes, 2):
            assert (await self.memory.update(record.id, **change)).version == version
        assert (await self.memory.get(record.id)).version == 5
        assert [item.version for item in (await self.memory.list(self.user)).items] == [5]
        if self.offers("add_many"):
            [many] = await self.memory.add_many([{"content": "tea", "user_id": self.user}])
            assert many.version == 1

    @requires("add", "get", "versions", "supports_supersession")
    async def test_an_end_counts(self) -> None:
        old = [await self.memory.add(content="tea", user_id=self.user) for _ in range(2)]
        await self.memory.add(content="milk", user_id=self.user, supersedes=[old[0].id])
        if self.offers("add_many"):
            part: dict[str, Any] = {"content": "x", "user_id": self.user, "supersedes": [old[1].id]}
            await self.memory.add_many([part, part])
            assert (await self.memory.get(old[1].id)).version == 2
        assert (await self.memory.get(old[0].id)).version == 2
        await self.memory.add(content="x", user_id=self.user, supersedes=[old[0].id], supersede_ended=True)
        assert (await self.memory.get(old[0].id)).version == 2

    @requires("add", "update", "delete", "get", "list", "versions")
    async def test_another_version_is_a_conflict(self) -> None:
        record = await self.memory.add(content="tea", user_id=self.user)
        current = await self.memory.update(record.id, content="milk", if_version=1)
        assert current.version == 2
        for wrong in (1, 3, 1000):
            for verb, arguments in [("update", {"content": "water"}), ("delete", {})]:
                with pytest.raises(ConflictError) as refusal:
                    await getattr(self.memory, verb)(record.id, **arguments, if_version=wrong)
                error = refusal.value
                assert (error.code, error.type) == ("conflict", "conflict")
                assert error.message.startswith(f"if_version: memory {record.id!r} is at version 2, not {wrong};")
                assert error.request_id
        assert (await self.memory.list(self.user)).items == [current]
        await self.memory.delete(record.id, if_version=2)
        for verb, arguments in [("update", {"content": "water"}), ("delete", {})]:
            with pytest.raises(NotFoundError):
                await getattr(self.memory, verb)(record.id, **arguments, if_version=2)

    @requires("put", "get_by_key", "list", "keys", "versions")
    async def test_another_version_of_a_key_is_a_conflict(self) -> None:
        put: dict[str, Any] = {"key": "k", "content": "tea", "user_id": self.user}
        for wrong in (1, 5):
            with pytest.raises(ConflictError, match=rf"^if_version: .*'k' is at version 0, not {wrong};"):
                await self.memory.put(**put, if_version=wrong)
        assert (await self.memory.list(self.user)).items == []
        record = await self.memory.put(**put, if_version=0)
        for wrong in (0, 2):
            with pytest.raises(ConflictError, match=rf"^if_version: .*'k' is at version 1, not {wrong};"):
                await self.memory.put(**put | {"content": "milk"}, if_version=wrong)
        assert (await self.memory.list(self.user)).items == [record]
        assert (await self.memory.put(**put, if_version=1)).version == 2

    @requires("add", "update", "get", "versions")
    async def test_of_changes_to_one_version_at_once_one_wins(self) -> None:
        record = await self.memory.add(content="tea", user_id=self.user)

        def updating(number: int) -> Callable[[], Coroutine[Any, Any, Any]]:
            return lambda: self.memory.update(record.id, confidence=number / 10, if_version=1)

        answers = await self.mode.at_once(*map(updating, range(8)))
        won = [answer for answer in answers if isinstance(answer, MemoryRecord)]
        assert [isinstance(answer, ConflictError) for answer in answers].count(True) == 7, answers
        assert won == [await self.memory.get(record.id)]
