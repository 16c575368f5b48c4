"""Deleting what is selected, and all that is kept of a user."""

from __future__ import annotations

from typing import Any

import pytest

from ...errors import InvalidRequestError, NotFoundError, ScopeDeniedError, UnsupportedCapabilityError
from ...models import MemoryRecord
from ..contract import Contract, requires


class DeleteManyContract(Contract):
    """`delete_many`; `SelectorsContract` has the filters."""

    async def _records(self, **fields: Any) -> list[MemoryRecord]:
        return [await self.memory.add(content=f"tea {n}", user_id=self.user, **fields) for n in range(3)]

    @requires("add", "delete_many", "get", "list")
    async def test_ids_that_are_not_there_are_no_error(self) -> None:
        records = await self._records()
        hers = await self.memory.add(content="tea", user_id=self.other)
        ids = [records[0].id, records[2].id, records[0].id, hers.id, "mem_unknown", "é" * 512]
        assert await self.memory.delete_many(self.user, ids=[]) == 0
        assert await self.memory.delete_many(self.user, ids=ids) == 2
        assert (await self.memory.list(self.user)).items == [records[1]]
        assert await self.memory.delete_many(self.user, ids=ids) == 0
        assert await self.memory.get(hers.id) == hers

    @requires("add", "delete_many", "list", "keys", "scopes")
    async def test_keys_select_in_every_scope_or_in_one(self) -> None:
        places = [("k", None), ("k", "a"), ("k", "a/b"), ("other", "a"), (None, "a")]
        ids = {
            place: (await self.memory.add(content="tea", user_id=self.user, key=place[0], scope=place[1])).id
            for place in places
        }
        await self.memory.add(content="tea", user_id=self.other, key="k")
        assert await self.memory.delete_many(self.user, keys=["unknown"]) == 0
        assert await self.memory.delete_many(self.user, keys=["k", "unknown"], scope="a", dry_run=True) == 1
        assert await self.memory.delete_many(self.user, keys=["k", "other"], ids=[ids["k", "a"]]) == 1
        assert await self.memory.delete_many(self.user, keys=["k"]) == 2
        left = {item.id for item in (await self.memory.list(self.user)).items}
        assert left == {ids["other", "a"], ids[None, "a"]}
        assert len((await self.memory.list(self.other)).items) == 1

    @requires("add", "delete_many", "list")
    async def test_everything_goes_only_when_it_is_said(self) -> None:
        records = await self._records()
        hers = await self.memory.add(content="tea", user_id=self.other)
        assert await self.memory.delete_many(self.user, everything=True, dry_run=True) == 3
        assert (await self.memory.list(self.user)).items == records[::-1]
        assert await self.memory.delete_many(self.user, everything=True) == 3
        assert (await self.memory.list(self.user)).items == []
        assert (await self.memory.list(self.other)).items == [hers]
        if self.offers("search"):
            assert await self.memory.search("tea", self.user) == []

    @requires("add", "delete_many", "list", "filters")
    @pytest.mark.parametrize("name", ["tags", "any_tags"])
    async def test_an_empty_list_of_tags_is_no_filter(self, name: str) -> None:
        records = await self._records(tags=["x"])
        empty: dict[str, Any] = {name: []}
        with pytest.raises(InvalidRequestError, match=r"^everything: "):
            await self.memory.delete_many(self.user, **empty)
        assert (await self.memory.list(self.user)).items == records[::-1]
        assert await self.memory.delete_many(self.user, ids=[records[0].id], **empty) == 1
        assert await self.memory.delete_many(self.user, everything=True, **empty) == 2

    @requires("add", "delete_many", "list", "scopes")
    async def test_grants_limit_what_is_deleted(self) -> None:
        inside, outside = await self._records(scope="a/b"), [*await self._records(scope="c"), *await self._records()]
        ids = [record.id for record in (*inside, *outside)]
        async with self.client(grants=["delete:a/*", "read:*", "write:*"]) as limited:
            for scope in ("c", "*", "a"):
                with pytest.raises(ScopeDeniedError, match="delete:"):
                    await limited.delete_many(self.user, scope=scope)
            assert await limited.delete_many(self.user, ids=ids, dry_run=True) == 3
            assert await limited.delete_many(self.user, ids=[ids[0], ids[-1]]) == 1
            assert await limited.delete_many(self.user, scope="a/b", ids=ids[1:]) == 2
            assert await limited.delete_many(self.user, everything=True) == 0
        assert {item.id for item in (await self.memory.list(self.user)).items} == {record.id for record in outside}

    @requires("add", "delete_many", "audit", "supports_audit", "scopes")
    async def test_a_deletion_leaves_one_entry(self) -> None:
        await self._records(scope="a/b")
        await self.memory.delete_many(self.user, scope="a/*")
        entry = (await self.memory.audit(self.user))[0]
        assert (entry.action, entry.memory_id, entry.scope) == ("delete_many", None, "a/*")
        assert entry.request_id

    @requires("add_many", "delete_many", "count", "metadata")
    async def test_thousands_are_deleted(self) -> None:
        records = [{"content": "tea", "user_id": self.user, "metadata": {"n": n % 3}} for n in range(1500)]
        await self.memory.add_many(records)
        assert await self.memory.delete_many(self.user, where={"n": {"$gte": 1}}) == 1000
        assert await self.memory.count(self.user) == 500
        assert await self.memory.count(self.user, where={"n": 0}) == 500


class ForgetUserContract(Contract):
    """`forget_user`."""

    @requires("add", "forget_user", "get", "list")
    async def test_nothing_is_left_of_a_user(self) -> None:
        hers = await self.memory.add(content="tea", user_id=self.other)
        record = await self.memory.add(content="green tea", user_id=self.user)
        newer = await self.memory.add(content="milk", user_id=self.user)
        expected = 2
        if self.offers("supports_supersession"):
            await self.memory.add(content="water", user_id=self.user, supersedes=[record.id])
            expected += 1
        if self.offers("keys"):
            await self.memory.add(content="water", user_id=self.user, key="k")
            expected += 1
        if self.offers("unindexed"):
            await self.memory.add(content="", user_id=self.user, indexed=False)
            expected += 1
        logged = len(await self.memory.audit(self.user)) if self.offers("supports_audit") else 0
        erased = await self.memory.forget_user(self.user)
        assert (erased.memories, erased.audit_entries) == (expected, logged)
        assert (await self.memory.list(self.user)).items == []
        for id in (record.id, newer.id):
            with pytest.raises(NotFoundError):
                await self.memory.get(id)
        if self.offers("search"):
            assert await self.memory.search("green tea", self.user) == []
        if self.offers("users"):
            assert (await self.memory.users(prefix=self.user)).items == []
        if self.offers("keys"):
            assert (await self.memory.add(content="water", user_id=self.user, key="k")).key == "k"
        assert (await self.memory.list(self.other)).items == [hers]

    @requires("add", "forget_user", "audit", "supports_audit")
    async def test_the_audit_log_forgets_a_user(self) -> None:
        for user in (self.user, self.other):
            await self.memory.add(content="tea", user_id=user)
        hers = await self.memory.audit(self.other)
        erased = await self.memory.forget_user(self.user)
        assert (erased.memories, erased.audit_entries) == (1, 1)
        assert await self.memory.audit(self.user) == []
        assert await self.memory.audit(self.other) == hers
        again = await self.memory.forget_user(self.user)
        assert (again.memories, again.audit_entries) == (0, 0)

    @requires("add", "forget_user", "list")
    async def test_idempotency_keys_are_forgotten(self) -> None:
        try:
            await self.memory.add(content="tea", user_id=self.user, idempotency_key="k")
        except UnsupportedCapabilityError:
            return
        await self.memory.forget_user(self.user)
        record = await self.memory.add(content="milk", user_id=self.user, idempotency_key="k")
        assert (await self.memory.list(self.user)).items == [record]
