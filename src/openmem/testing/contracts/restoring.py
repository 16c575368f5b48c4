"""Restoring memories, purging a store, and who may do so."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest

from ...errors import ConflictError, InvalidRequestError, NotFoundError, ScopeDeniedError
from ...models import MemoryRecord
from .. import cases
from ..contract import Contract, requires


class RestoreContract(Contract):
    """`restore`."""

    async def _all_kinds(self) -> list[MemoryRecord]:
        """Memories of every kind that the provider can keep, as they are stored, the oldest first."""
        add = self.memory.add
        extensions: dict[str, Any] = {"x-app": {"a": [1, 1e23]}}
        first = await add(content="likes green tea", user_id=self.user, tags=["b", "a"], **extensions)
        source = {"app": "editor", "type": "explicit", "ref": "r"}
        await add(content="plays the cello", user_id=self.user, source=source, confidence=0.5)
        if self.offers("scopes"):
            await add(content="moved to Lisbon", user_id=self.user, scope="a/b")
        if self.offers("temporal"):
            year = datetime(2024, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
            await add(content="is on leave", user_id=self.user, valid_from=year[0], valid_to=year[1])
        if self.offers("supports_supersession"):
            second = await add(content="likes black tea", user_id=self.user, supersedes=[first.id])
            await add(content="likes milk", user_id=self.user, supersedes=[second.id])
        if self.offers("metadata"):
            await add(content="has metadata", user_id=self.user, metadata={"n": 1e23, "big": 2**70, "deep": {"a": []}})
        if self.offers("keys"):
            await add(content="has a key", user_id=self.user, key="k")
        if self.offers("expiry"):
            await add(content="expires", user_id=self.user, expires_at="9000-01-01")
        if self.offers("unindexed"):
            await add(content="", user_id=self.user, indexed=False)
        if self.offers("update"):
            await self.memory.update(first.id, confidence=1.0)
        return (await self.memory.list(self.user, limit=500)).items[::-1]

    @requires("add", "restore", "delete", "list", "get")
    @pytest.mark.parametrize("order", ["as they were", "backwards", "at random"])
    async def test_memories_are_restored_as_they_were(self, order: str) -> None:
        before = await self._all_kinds()
        searched = [hit.memory for hit in await self.memory.search("likes tea", self.user, limit=100)]
        for record in before:
            await self.memory.delete(record.id)
        given = before[::-1] if order == "backwards" else list(before)
        if order == "at random":
            random.Random(1).shuffle(given)
        half = len(given) // 2
        for part in (given[:half], given[half:], given):
            restored = await self.memory.restore(part)
            assert restored == part
            assert restored.existing == frozenset(record.id for record in given if part is given)
        assert (await self.memory.list(self.user, limit=500)).items == before[::-1]
        found = [hit.memory for hit in await self.memory.search("likes tea", self.user, limit=100)]
        assert {record.id for record in found} == {record.id for record in searched}
        if self.offers("keys"):
            assert (await self.memory.get_by_key("k", self.user)).key == "k"
        if self.offers("history") and self.offers("supports_supersession"):
            chain = [record.id for record in await self.memory.history(before[0].id)]
            assert len(chain) == 3

    @requires("add", "restore", "delete", "list")
    async def test_mappings_are_records_too(self) -> None:
        before = await self._all_kinds()
        for record in before:
            await self.memory.delete(record.id)
        python = [record.model_dump() for record in before[::2]]
        json = [record.model_dump(mode="json") for record in before[1::2]]
        await self.memory.restore([*python, *json])
        assert (await self.memory.list(self.user)).items == before[::-1]

    @requires("add", "restore", "get", "update", "list")
    async def test_what_is_there_stays_as_it_is(self) -> None:
        record = await self.memory.add(content="likes green tea", user_id=self.user)
        current = await self.memory.update(record.id, content="likes milk")
        gone = record.model_copy(update={"id": _other_id(record.id), "content": "likes water"})
        restored = await self.memory.restore([record, gone, record])
        assert [restored[0], restored[2]] == [current, current]
        assert restored[1].content == "likes water"
        assert await self.memory.get(record.id) == current
        assert {item.id for item in (await self.memory.list(self.user)).items} == {record.id, gone.id}
        assert await self.memory.restore([]) == []

    @requires("add", "restore", "delete", "get", "supports_supersession")
    async def test_ids_that_a_memory_superseded_need_not_be_there(self) -> None:
        old = await self.memory.add(content="likes tea", user_id=self.user)
        new = await self.memory.add(content="likes milk", user_id=self.user, supersedes=[old.id])
        ended = await self.memory.get(old.id)
        for record in (old, new):
            await self.memory.delete(record.id)
        assert await self.memory.restore([new]) == [new]
        assert new.supersedes == [old.id]
        assert await self.memory.restore([ended]) == [ended]
        assert await self.memory.get(old.id) == ended

    @requires("add", "restore", "delete", "list", "keys")
    async def test_a_key_in_use_restores_nothing(self) -> None:
        gone = await self.memory.add(content="tea", user_id=self.user, key="k")
        free = await self.memory.add(content="tea", user_id=self.user, key="free")
        for record in (gone, free):
            await self.memory.delete(record.id)
        taken = await self.memory.add(content="milk", user_id=self.user, key="k")
        with pytest.raises(ConflictError, match=r"^records\[1\]\.key: .*'k'"):
            await self.memory.restore([free, gone])
        assert (await self.memory.list(self.user)).items == [taken]

    @requires("add", "restore", "list")
    async def test_one_wrong_record_restores_nothing(self) -> None:
        record = await self.memory.add(content="tea", user_id=self.user)
        fields = {**record.model_dump(), "id": _other_id(record.id)}
        async with self.no_io_client() as client:
            for wrong in ({"content": ""}, {"created_at": "yesterday"}, {"nonsense": 1}, {"id": None}):
                with pytest.raises(InvalidRequestError, match=r"^records\[1\]"):
                    await client.restore([fields, {**fields, **wrong}])
        assert (await self.memory.list(self.user)).items == [record]

    @requires("add", "restore", "list")
    async def test_an_id_of_another_user_is_refused_or_kept(self) -> None:
        """A backend may rely on the form of its ids."""
        hers = await self.memory.add(content="tea", user_id=self.other)
        for id in ("a", _other_id(hers.id)):
            given = hers.model_copy(update={"id": id, "user_id": self.user})
            try:
                [restored] = await self.memory.restore([given])
            except InvalidRequestError:
                assert (await self.memory.list(self.user)).items == []
            else:
                assert restored.id == id
                assert await self.memory.get(id) == restored
                await self.memory.delete(id)

    @requires("add", "restore", "delete", "list")
    async def test_progress_tells_of_all_that_was_restored(self) -> None:
        records = [await self.memory.add(content=f"tea {n}", user_id=self.user) for n in range(3)]
        for record in records:
            await self.memory.delete(record.id)
        told: list[tuple[int, int]] = []
        await self.memory.restore(records, progress=lambda done, total: told.append((done, total)))
        assert told[-1] == (3, 3)

    @requires("add", "restore", "delete", "audit", "supports_audit")
    async def test_each_restored_memory_leaves_an_entry(self) -> None:
        stays, gone = [await self.memory.add(content=f"tea {n}", user_id=self.user) for n in range(2)]
        await self.memory.delete(gone.id)
        await self.memory.restore([stays, gone])
        entry, before = (await self.memory.audit(self.user))[:2]
        assert (entry.action, entry.memory_id, before.action) == ("restore", gone.id, "delete")


class PurgeContract(Contract):
    """`purge`."""

    @requires("add", "purge", "list")
    async def test_nothing_is_purged_that_still_counts(self) -> None:
        records = [await self.memory.add(content="tea", user_id=self.user)]
        if self.offers("temporal"):
            for end in ("2020-01-01", "9000-01-01"):
                records.append(await self.memory.add(content="tea", user_id=self.user, valid_to=end))
        if self.offers("expiry"):
            records.append(await self.memory.add(content="tea", user_id=self.user, expires_at="9000-01-01"))
        long_ago: dict[str, Any] = {"ended_before": "0500-01-01", "audit_before": "0500-01-01"}
        await self.memory.purge(**long_ago)
        assert (await self.memory.list(self.user)).items == records[::-1]
        purged = await self.memory.purge(**long_ago)
        assert (purged.memories, purged.audit_entries) == (0, 0)
        assert (await self.memory.list(self.user)).items == records[::-1]

    @requires("add", "purge", "list", "temporal")
    async def test_what_ended_long_ago_is_purged(self) -> None:
        await self.memory.purge(ended_before="0991-01-01")
        ends = {end: await self._ending(end) for end in ("0990-12-31", "0991-01-01", "0991-01-02", "9000-01-01", None)}
        purged = await self.memory.purge(ended_before="0991-01-01")
        assert purged.memories == 1
        left = {item.id for item in (await self.memory.list(self.user)).items}
        assert left == {record.id for end, record in ends.items() if end != "0990-12-31"}
        assert (await self.memory.purge(ended_before="0991-01-01")).memories == 0

    async def _ending(self, end: str | None) -> MemoryRecord:
        return await self.memory.add(content="tea", user_id=self.user, valid_from="0900-01-01", valid_to=end)

    @requires("add", "purge", "list", "expiry")
    async def test_what_expired_is_purged(self) -> None:
        for _ in range(3):
            await self.memory.add(content="tea", user_id=self.user, expires_at="2020-01-01")
        stays = await self.memory.add(content="tea", user_id=self.user)
        told: list[tuple[int, int]] = []
        purged = await self.memory.purge(progress=lambda done, total: told.append((done, total)))
        assert purged.memories >= 3
        assert all(done <= total for done, total in told)
        assert (await self.memory.purge()).memories == 0
        assert (await self.memory.list(self.user)).items == [stays]

    @requires("add", "purge", "audit", "supports_audit")
    async def test_old_audit_entries_are_purged(self) -> None:
        for _ in range(3):
            await self.memory.add(content="tea", user_id=self.user)
        entries = await self.memory.audit(self.user)
        purged = await self.memory.purge(audit_before=entries[0].timestamp)
        assert purged.audit_entries >= 2
        assert await self.memory.audit(self.user) == entries[:1]


class AdministrationContract(Contract):
    """The verbs that concern all users, or a user as a whole."""

    @requires()
    @pytest.mark.parametrize("verb", ["users", "forget_user", "restore", "purge"])
    async def test_limited_callers_are_refused(self, verb: str) -> None:
        if not self.offers(verb):
            return
        for grants in (["read:*"], ["read:*", "write:*", "delete:a"], ["write:a/*"], []):
            async with self.no_io_client(grants=grants) as client:
                with pytest.raises(ScopeDeniedError, match=f"^{verb}: ") as denial:
                    await getattr(client, verb)(**cases.VALID[verb])
                assert (denial.value.code, denial.value.type) == ("scope_denied", "auth")

    @requires("add", "forget_user", "get")
    async def test_unrestricted_grants_are_enough(self) -> None:
        record = await self.memory.add(content="tea", user_id=self.user)
        async with self.client(grants=["read:*", "write:*", "delete:*"]) as client:
            assert (await client.forget_user(self.user)).memories == 1
        with pytest.raises(NotFoundError):
            await self.memory.get(record.id)


def _other_id(id: str) -> str:
    """Another id that the same user's memories may have: of a moment before."""
    digits = "0123456789abcdefghjkmnpqrstvwxyz"
    place = len(id) - 6
    other = digits[(digits.index(id[place]) + 1) % 32] if id[place] in digits else "0"
    return id[:place] + other + id[place + 1 :]
