"""What the grants of a client allow."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ...errors import InvalidRequestError, NotFoundError, ScopeDeniedError
from ...models import MemoryRecord
from .. import cases
from ..contract import Contract, requires


class GrantsContract(Contract):
    """`grants` of the constructor, for every verb."""

    async def _three_scopes(self) -> tuple[MemoryRecord, MemoryRecord, MemoryRecord]:
        coding = await self.memory.add(content="tea of coding", user_id=self.user, scope="coding/python")
        health = await self.memory.add(content="tea of health", user_id=self.user, scope="health")
        bare = await self.memory.add(content="tea of none", user_id=self.user)
        return coding, health, bare

    @requires("add", "get", "list", "search", "context", "scopes")
    async def test_read_grants_narrow_every_read(self) -> None:
        coding, health, bare = await self._three_scopes()
        async with self.client(grants=["read:coding/*"]) as limited:
            assert (await limited.get(coding.id)).id == coding.id
            for record in (health, bare):
                with pytest.raises(ScopeDeniedError, match="read:"):
                    await limited.get(record.id)
            for scope in (None, "coding/*", "coding/python"):
                assert [item.id for item in (await limited.list(self.user, scope=scope)).items] == [coding.id]
                assert [hit.memory.id for hit in await limited.search("tea", self.user, scope=scope)] == [coding.id]
                block = await limited.context("tea", self.user, scope=scope)
                assert [citation.memory_id for citation in block.citations] == [coding.id]
            for scope in ("*", "health", "coding"):
                with pytest.raises(ScopeDeniedError, match=re.escape(f"read:{scope}")):
                    await limited.list(self.user, scope=scope)
                with pytest.raises(ScopeDeniedError):
                    await limited.search("tea", self.user, scope=scope)
                with pytest.raises(ScopeDeniedError):
                    await limited.context("tea", self.user, scope=scope)

    @requires("add", "get", "list", "search", "scopes")
    async def test_grants_add_up_and_a_star_covers_everything(self) -> None:
        coding, health, bare = await self._three_scopes()
        async with self.client(grants=["read:coding/*", "read:health"]) as limited:
            assert {item.id for item in (await limited.list(self.user)).items} == {coding.id, health.id}
            assert {hit.memory.id for hit in await limited.search("tea", self.user)} == {coding.id, health.id}
        async with self.client(grants=["read:*"]) as limited:
            assert (await limited.get(bare.id)).id == bare.id
            assert len((await limited.list(self.user)).items) == 3
            assert len((await limited.list(self.user, scope="*")).items) == 2

    @requires("add", "audit", "supports_audit", "scopes")
    async def test_read_grants_narrow_the_audit(self) -> None:
        coding, _, _ = await self._three_scopes()
        async with self.client(grants=["read:coding/*"]) as limited:
            assert [entry.memory_id for entry in await limited.audit(self.user)] == [coding.id]

    @requires("add", "get", "update", "scopes")
    async def test_write_grants_cover_add_and_update(self) -> None:
        coding, health, bare = await self._three_scopes()
        async with self.client(grants=["write:coding/*"]) as limited:
            added = await limited.add(content="more", user_id=self.user, scope="coding/x")
            assert (await limited.update(coding.id, confidence=0.1)).confidence == 0.1
            assert (await limited.update(added.id, scope="coding/y")).scope == "coding/y"
            for scope in ("health", "coding", None):
                with pytest.raises(ScopeDeniedError, match="write:"):
                    await limited.add(content="more", user_id=self.user, scope=scope)
                with pytest.raises(ScopeDeniedError, match="write:"):
                    await limited.update(coding.id, content="moved", scope=scope)
            for record in (health, bare):
                with pytest.raises(ScopeDeniedError, match="write:"):
                    await limited.update(record.id, content="changed")
                with pytest.raises(ScopeDeniedError, match="write:"):
                    await limited.update(record.id, content="taken", scope="coding/z")
                assert await self.memory.get(record.id) == record
        assert (await self.memory.get(coding.id)).content == coding.content

    @requires("add", "get", "supports_supersession", "scopes")
    async def test_nobody_supersedes_what_he_may_not_write(self) -> None:
        _, health, _ = await self._three_scopes()
        async with self.client(grants=["write:coding/*"]) as limited:
            with pytest.raises((InvalidRequestError, ScopeDeniedError)):
                await limited.add(content="x", user_id=self.user, scope="coding/x", supersedes=[health.id])
        assert await self.memory.get(health.id) == health

    @requires("add", "get", "delete", "scopes")
    async def test_delete_grants_cover_delete(self) -> None:
        coding, health, bare = await self._three_scopes()
        async with self.client(grants=["delete:health", "read:*", "write:*"]) as limited:
            await limited.delete(health.id)
            for record in (coding, bare):
                with pytest.raises(ScopeDeniedError, match="delete:"):
                    await limited.delete(record.id)
                assert await self.memory.get(record.id) == record
            with pytest.raises(NotFoundError):
                await limited.delete(health.id)

    @requires()
    async def test_verbs_without_any_grant_are_denied_before_anything_is_sent(self) -> None:
        for grants, allowed in [([], ()), (["read:a"], cases.READS), (["write:a"], ("update",))]:
            async with self.no_io_client(grants=grants) as client:
                for verb in {*cases.VALID} - {*allowed, "wait_for_ingest"}:
                    if self.offers(verb):
                        with pytest.raises(ScopeDeniedError) as denial:
                            await getattr(client, verb)(**cases.VALID[verb])
                        assert (denial.value.code, denial.value.type) == ("scope_denied", "auth")
                        assert denial.value.request_id

    @requires()
    @pytest.mark.parametrize("grants", [["read"], ["fly:a"], ["read:"], ["read:a*"], "read:*", [5], [""]], ids=repr)
    async def test_malformed_grants_are_refused(self, grants: Any) -> None:
        with pytest.raises(InvalidRequestError, match="grants"):
            self.client(grants=grants)
