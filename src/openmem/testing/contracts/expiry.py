"""Memories that expire, and memories that no search finds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ...errors import InvalidRequestError, NotFoundError
from ...models import MemoryRecord
from ..contract import Contract, requires

LONGEST_UNINDEXED = 512 * 1024


class ExpiryContract(Contract):
    """``expires_at``."""

    async def _expired(self, **fields: Any) -> MemoryRecord:
        """A memory that has expired, as it was before."""
        record = await self.memory.add(content="tea is expired", user_id=self.user, **fields)
        await self.memory.update(record.id, expires_at=datetime.now(UTC) - timedelta(seconds=1))
        return record

    @requires("add", "update", "get", "list", "expiry")
    async def test_the_moment_comes_back(self) -> None:
        moment = datetime(9000, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
        record = await self.memory.add(content="tea", user_id=self.user, expires_at=moment)
        assert record.expires_at == moment
        for given, expected in [("9001-01-01T02:00:00+02:00", datetime(9001, 1, 1, tzinfo=UTC)), (None, None)]:
            updated = await self.memory.update(record.id, expires_at=given)
            assert updated.expires_at == expected
            assert await self.memory.get(record.id) == updated
            assert (await self.memory.list(self.user)).items == [updated]

    @requires("add", "update", "get", "delete", "expiry")
    async def test_no_verb_knows_what_has_expired(self) -> None:
        stays = await self.memory.add(content="tea stays", user_id=self.user)
        gone = await self._expired(scope="a" if self.offers("scopes") else None)
        for verb, arguments in [("get", {}), ("update", {"expires_at": None}), ("delete", {}), ("history", {})]:
            if self.offers(verb):
                with pytest.raises(NotFoundError) as refusal:
                    await getattr(self.memory, verb)(gone.id, **arguments)
                with pytest.raises(NotFoundError) as unknown:
                    await getattr(self.memory, verb)("mem_unknown", **arguments)
                assert refusal.value.message == unknown.value.message.replace("mem_unknown", gone.id)
        with pytest.raises(NotFoundError):
            await self.memory.wait_for_ingest([gone.id], self.user)
        assert (await self.memory.list(self.user)).items == [stays]
        if self.offers("search"):
            assert [hit.memory.id for hit in await self.memory.search("tea", self.user)] == [stays.id]
        if self.offers("context"):
            citations = (await self.memory.context("tea", self.user)).citations
            assert [citation.memory_id for citation in citations] == [stays.id]
        if self.offers("count"):
            assert await self.memory.count(self.user) == 1
        if self.offers("facets"):
            assert [facet.value for facet in await self.memory.facets(self.user, by="scope")] == [None]
        if self.offers("delete_many"):
            assert await self.memory.delete_many(self.user, ids=[gone.id]) == 0
            assert await self.memory.delete_many(self.user, everything=True, dry_run=True) == 1

    @requires("add", "list", "expiry")
    async def test_what_is_added_too_late_is_not_shown(self) -> None:
        past = datetime(2020, 1, 1, tzinfo=UTC)
        assert (await self.memory.add(content="tea", user_id=self.user, expires_at=past)).expires_at == past
        if self.offers("add_many"):
            await self.memory.add_many([{"content": "tea", "user_id": self.user, "expires_at": past}])
        assert (await self.memory.list(self.user)).items == []
        if self.offers("search"):
            assert await self.memory.search("tea", self.user) == []

    @requires("add", "update", "list", "expiry", "supports_supersession")
    async def test_what_has_expired_cannot_be_superseded(self) -> None:
        gone = await self._expired()
        with pytest.raises(InvalidRequestError, match=r"^supersedes: "):
            await self.memory.add(content="milk", user_id=self.user, supersedes=[gone.id])
        if self.offers("put"):
            with pytest.raises(InvalidRequestError, match=r"^supersedes: "):
                await self.memory.put(key="k", content="milk", user_id=self.user, supersedes=[gone.id])
        if self.offers("add_many"):
            with pytest.raises(InvalidRequestError, match=r"^records\[0\]\.supersedes: "):
                await self.memory.add_many([{"content": "milk", "user_id": self.user, "supersedes": [gone.id]}])
        assert (await self.memory.list(self.user)).items == []

    @requires("add", "update", "get_by_key", "put", "list", "expiry", "keys", "versions")
    async def test_the_key_of_what_has_expired_is_free(self) -> None:
        gone = [await self._expired(key=key) for key in ("add", "put", "new", "many", "moved", "kept")]
        with pytest.raises(NotFoundError):
            await self.memory.get_by_key("add", self.user)
        added = await self.memory.add(content="milk", user_id=self.user, key="add")
        put = await self.memory.put(key="put", content="milk", user_id=self.user)
        new = await self.memory.put(key="new", content="milk", user_id=self.user, if_version=0)
        kept = await self.memory.put(key="kept", content="milk", user_id=self.user, keep_history=True)
        stored = [added, put, new, kept]
        if self.offers("add_many"):
            stored += await self.memory.add_many([{"content": "milk", "user_id": self.user, "key": "many"}])
        if self.offers("scopes"):
            record = await self.memory.add(content="milk", user_id=self.user, key="moved", scope="a")
            stored.append(await self.memory.update(record.id, scope=None))
        for record in stored:
            assert record.id not in {expired.id for expired in gone}
            assert (record.version, record.supersedes) == (2 if record.key == "moved" else 1, None)
            assert await self.memory.get_by_key(str(record.key), self.user) == record
        assert {item.id for item in (await self.memory.list(self.user)).items} == {record.id for record in stored}


class UnindexedContract(Contract):
    """``indexed=False``."""

    @requires("add", "get", "list", "search", "context", "unindexed")
    async def test_no_search_finds_it(self) -> None:
        found = await self.memory.add(content="green tea", user_id=self.user)
        hidden = await self.memory.add(content="green tea", user_id=self.user, indexed=False)
        added = [hidden]
        if self.offers("add_many"):
            part = {"content": "green tea", "user_id": self.user}
            [first, second] = await self.memory.add_many([{**part, "indexed": False}, part])
            assert (first.indexed, second.indexed) == (False, True)
            added += [first, second]
        assert (found.indexed, hidden.indexed, hidden.embedding_model) == (True, False, None)
        assert await self.memory.get(hidden.id) == hidden
        assert (await self.memory.list(self.user)).items == [*added[::-1], found]
        expected = {found.id, *(record.id for record in added if record.indexed)}
        assert {hit.memory.id for hit in await self.memory.search("green tea", self.user)} == expected
        block = await self.memory.context("green tea", self.user)
        assert {citation.memory_id for citation in block.citations} <= expected
        assert hidden.id not in {omitted.memory_id for omitted in block.omitted}

    @requires("add", "update", "search", "unindexed")
    async def test_an_update_does_not_show_it(self) -> None:
        hidden = await self.memory.add(content="milk", user_id=self.user, indexed=False)
        updated = await self.memory.update(hidden.id, content="green tea", tags=["a"])
        assert (updated.content, updated.indexed, updated.embedding_model) == ("green tea", False, None)
        assert await self.memory.search("green tea", self.user) == []

    @requires("put", "search", "keys", "unindexed")
    async def test_put_hides_and_shows(self) -> None:
        put: dict[str, Any] = {"key": "k", "content": "green tea", "user_id": self.user}
        for indexed in (True, False, True):
            record = await self.memory.put(**put, indexed=indexed)
            assert record.indexed is indexed
            found = [hit.memory for hit in await self.memory.search("green tea", self.user)]
            assert found == ([record] if indexed else [])

    @requires("add", "get", "list", "unindexed")
    async def test_its_content_may_be_empty_or_long(self) -> None:
        for content in ("", " \n", "é" * 100_000, "x" * LONGEST_UNINDEXED):
            record = await self.memory.add(content=content, user_id=self.user, indexed=False)
            assert record.content == content
            assert (await self.memory.get(record.id)).content == content
        async with self.no_io_client() as client:
            for content, indexed in [("x" * (LONGEST_UNINDEXED + 1), False), ("", True), (" ", True)]:
                with pytest.raises(InvalidRequestError, match=r"^content: "):
                    await client.add(content=content, user_id=self.user, indexed=indexed)

    @requires("add", "get", "update", "unindexed", "max_content_length")
    async def test_its_content_may_become_empty_or_long(self) -> None:
        bound = self.capabilities.features.max_content_length
        assert bound is not None
        hidden = await self.memory.add(content="tea", user_id=self.user, indexed=False)
        shown = await self.memory.add(content="tea", user_id=self.user)
        for content in (" \n", "x" * LONGEST_UNINDEXED, ""):
            assert (await self.memory.update(hidden.id, content=content)).content == content
            assert (await self.memory.get(hidden.id)).content == content
        for content in ("", " \n", "x" * (bound + 1)):
            with pytest.raises(InvalidRequestError, match=r"^content: "):
                await self.memory.update(shown.id, content=content)
        with pytest.raises(InvalidRequestError, match=r"^content: "):
            await self.memory.update(hidden.id, content="x" * (LONGEST_UNINDEXED + 1))
        assert (await self.memory.get(shown.id)).content == "tea"
        assert (await self.memory.get(hidden.id)).content == ""
