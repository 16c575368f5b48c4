"""The log of what was done."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ...errors import InvalidRequestError, ScopeDeniedError
from ...models import AuditEntry
from ..contract import Contract, requires


class AuditContract(Contract):
    """`audit`."""

    @requires("add", "audit", "supports_audit")
    async def test_audit_shows_no_other_user(self) -> None:
        mine = await self.two_users()
        assert [entry.memory_id for entry in await self.memory.audit(self.user)] == [mine.id]

    @requires("add", "get", "update", "delete", "list", "search", "context", "audit", "supports_audit", "scopes")
    async def test_every_verb_leaves_one_entry(self) -> None:
        async with self.client(app="notes") as client:
            record = await client.add(content="tea", user_id=self.user, scope="a/b")
            await client.get(record.id)
            await client.update(record.id, confidence=0.5)
            await client.list(self.user)
            await client.search("tea", self.user, scope="a/*")
            await client.context("tea", self.user, scope="a")
            audits_reads = (await client.capabilities()).features.audits_reads
            await client.audit(self.user)
            await client.delete(record.id)
            entries = await client.audit(self.user)
        reads = [("context", None, "a"), ("search", None, "a/*"), ("list", None, None), ("get", record.id, "a/b")]
        expected = [
            ("delete", record.id, "a/b"),
            *reads[:3],
            ("update", record.id, "a/b"),
            *reads[3:],
            ("add", record.id, "a/b"),
        ]
        assert [(entry.action, entry.memory_id, entry.scope) for entry in entries] == [
            entry for entry in expected if audits_reads is not False or entry not in reads
        ]
        assert {entry.app for entry in entries} == {"notes"}
        assert all(entry.request_id for entry in entries)
        assert len({entry.request_id for entry in entries}) == len(entries)
        times = [entry.timestamp for entry in entries]
        assert times == sorted(times, reverse=True)
        assert times[-1].utcoffset() == timedelta(0)

    @requires("add", "audit", "supports_audit")
    async def test_the_app_of_an_entry_is_the_client_s_or_else_the_source_s(self) -> None:
        async with self.client(app="client") as client:
            await client.add(content="a", user_id=self.user, source={"app": "source"})
        await self.memory.add(content="b", user_id=self.user, source={"app": "source"})
        await self.memory.add(content="c", user_id=self.user)
        assert [entry.app for entry in await self.memory.audit(self.user)] == [None, "source", "client"]
        assert [entry.app for entry in await self.memory.audit(self.user, app="source")] == ["source"]

    @requires("add", "audit", "supports_audit")
    async def test_audit_can_be_cut(self) -> None:
        for n in range(4):
            await self.memory.add(content=f"tea {n}", user_id=self.user)
        entries = await self.memory.audit(self.user)
        assert await self.memory.audit(self.user, limit=2) == entries[:2]
        since = entries[1].timestamp
        for given in (since, since.replace(tzinfo=None), since.isoformat()):
            assert await self.memory.audit(self.user, since=given) == [e for e in entries if e.timestamp >= since]

    @requires("add", "add_many", "audit", "supports_audit", "audit_pages")
    async def test_audit_has_pages(self) -> None:
        await self.memory.add_many([{"content": f"tea {n}", "user_id": self.user} for n in range(5)])
        async with self.client(app="other") as client:
            await client.add(content="coffee", user_id=self.user)
        whole = await self.memory.audit(self.user)
        assert len(whole) == 6
        assert whole.next_cursor is None
        first = await self.memory.audit(self.user, limit=2)
        await self.memory.add(content="later", user_id=self.user)
        second = await self.memory.audit(self.user, limit=2, cursor=first.next_cursor)
        third = await self.memory.audit(self.user, limit=2, cursor=second.next_cursor)
        assert [*first, *second, *third] == whole
        assert third.next_cursor is None
        assert (await self.memory.audit(self.user, app="other", limit=1)).next_cursor is None

    @requires("add", "audit", "supports_audit", "audit_pages")
    async def test_a_cursor_of_another_log_is_refused(self) -> None:
        for n in range(2):
            await self.memory.add(content=f"tea {n}", user_id=self.user)
        cursor = (await self.memory.audit(self.user, limit=1)).next_cursor
        for user, app in ((self.other, None), (self.user, "x")):
            with pytest.raises(InvalidRequestError, match="cursor"):
                await self.memory.audit(user, app=app, cursor=cursor)
        for wrong in ("", "x", "W10", f"{cursor}x"):
            with pytest.raises(InvalidRequestError, match="cursor"):
                await self.memory.audit(self.user, cursor=wrong)

    @requires("add", "audit", "supports_audit", "audit_pages", "scopes")
    async def test_pages_of_what_the_grants_cover(self) -> None:
        for n in range(3):
            await self.memory.add(content=f"mine {n}", user_id=self.user, scope="a")
            await self.memory.add(content=f"not {n}", user_id=self.user, scope="b")
        whole = [entry for entry in await self.memory.audit(self.user) if entry.scope == "a"]
        found: list[AuditEntry] = []
        cursor = None
        async with self.client(grants=["read:a"]) as limited:
            while True:
                page = await limited.audit(self.user, limit=1, cursor=cursor)
                found += page
                cursor = page.next_cursor
                if cursor is None:
                    break
        assert found == whole

    @requires("add", "get", "update", "delete", "audit", "supports_audit", "supports_supersession")
    async def test_what_fails_leaves_no_entry(self) -> None:
        record = await self.memory.add(content="tea", user_id=self.user)
        before = await self.memory.audit(self.user)
        with pytest.raises(InvalidRequestError):
            await self.memory.add(content="x", user_id=self.user, supersedes=["mem_unknown"])
        with pytest.raises(InvalidRequestError):
            await self.memory.update(record.id, supersedes=["mem_unknown"])
        assert await self.memory.audit(self.user) == before

    @requires("add", "get", "update", "delete", "audit", "supports_audit")
    async def test_what_is_denied_leaves_no_entry(self) -> None:
        record = await self.memory.add(content="tea", user_id=self.user)
        before = await self.memory.audit(self.user)
        await self.assert_all_denied(record.id)
        assert await self.memory.audit(self.user) == before

    async def assert_all_denied(self, id: str) -> None:
        async with self.client(grants=["read:b", "write:b", "delete:b"]) as limited:
            for verb, arguments in [("get", {}), ("update", {"confidence": 1.0}), ("delete", {})]:
                with pytest.raises(ScopeDeniedError):
                    await getattr(limited, verb)(id, **arguments)

    @requires("add", "get", "list", "audit", "supports_audit")
    async def test_the_audit_of_reads_can_be_left_out(self) -> None:
        async with self.client(audit="writes") as client:
            record = await client.add(content="tea", user_id=self.user)
            await client.get(record.id)
            await client.list(self.user)
        assert [entry.action for entry in await self.memory.audit(self.user)] == ["add"]

    @requires("add", "get", "audit", "supports_audit")
    async def test_audit_can_be_off(self) -> None:
        async with self.client(audit="off") as client:
            record = await client.add(content="tea", user_id=self.user)
            await client.get(record.id)
            assert (await client.capabilities()).features.supports_audit is False
        assert await self.memory.audit(self.user) == []
