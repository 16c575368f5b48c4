"""Which memories list, search and context select."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from .. import cases
from ..contract import Contract, requires


class SelectionContract(Contract):
    """Scopes and validity, the same for every verb that reads many memories."""

    @requires("add", "list", "search", "context", "scopes")
    @pytest.mark.parametrize(
        ("pattern", "exact", "subtree"),
        [
            ("coding", ["coding"], ["coding", "coding/python", "coding/python/style"]),
            ("coding/python", ["coding/python"], ["coding/python", "coding/python/style"]),
            ("coding/*", ["coding/python", "coding/python/style"], None),
            ("coding/python/*", ["coding/python/style"], None),
            ("coding2/*", [], None),
            ("*", list(cases.SCOPES), None),
            ("a%b", ["a%b"], None),
            ("a_c/*", ["a_c/d"], None),
            ("%", [], None),
            ("codin_", [], None),
            ("unknown", [], None),
        ],
        ids=repr,
    )
    async def test_a_scope_selects(self, pattern: str, exact: list[str], subtree: list[str] | None) -> None:
        await self.memory.add(content="tea without scope", user_id=self.user)
        for number, scope in enumerate(cases.SCOPES):
            await self.memory.add(content=f"tea number {number}", user_id=self.user, scope=scope)
        await self.memory.add(content="tea of another", user_id=self.other, scope=cases.SCOPES[0])

        listed = (await self.memory.list(self.user, scope=pattern)).items
        assert sorted(str(item.scope) for item in listed) == sorted(exact)
        hits = await self.memory.search("tea", self.user, scope=pattern, limit=100)
        assert sorted(str(hit.memory.scope) for hit in hits) == sorted(exact)
        block = await self.memory.context("tea", self.user, scope=pattern, token_budget=5000)
        scopes = {item.id: str(item.scope) for item in (await self.memory.list(self.user)).items}
        cited = [scopes[citation.memory_id] for citation in block.citations]
        assert sorted(cited) == sorted(exact if subtree is None else subtree)

    @requires("add", "get", "list", "search", "context", "temporal")
    async def test_search_and_context_see_what_is_valid_now(self) -> None:
        now = datetime.now(UTC)
        ages = {
            "always": (None, None),
            "since yesterday": (now - timedelta(days=1), None),
            "until tomorrow": (None, now + timedelta(days=1)),
            "around now": (now - timedelta(days=1), now + timedelta(days=1)),
            "from tomorrow": (now + timedelta(days=1), None),
            "until yesterday": (None, now - timedelta(days=1)),
            "never": (now, now),
        }
        ids = {}
        for name, (start, end) in ages.items():
            record = await self.memory.add(content=f"tea {name}", user_id=self.user, valid_from=start, valid_to=end)
            ids[record.id] = name
            assert await self.memory.get(record.id) == record
        valid = {"always", "since yesterday", "until tomorrow", "around now"}
        assert {ids[hit.memory.id] for hit in await self.memory.search("tea", self.user)} == valid
        block = await self.memory.context("tea", self.user)
        assert {ids[citation.memory_id] for citation in block.citations} == valid
        assert {item.id for item in (await self.memory.list(self.user)).items} == set(ids)
