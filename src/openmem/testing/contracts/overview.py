"""Looking around: how many memories there are, of what kind, of whom, and what became of them."""

from __future__ import annotations

from typing import Any

import pytest

from ...errors import InvalidRequestError, NotFoundError, ScopeDeniedError
from .. import cases
from ..contract import Contract, requires


class CountContract(Contract):
    """`count`; `SelectorsContract` has the filters."""

    @requires("add", "count", "delete", "scopes")
    async def test_counts_are_those_of_lists(self) -> None:
        assert await self.memory.count(self.user) == 0
        scopes = ["a", "a/b", None]
        ids = [(await self.memory.add(content="tea", user_id=self.user, scope=scope)).id for scope in scopes]
        await self.memory.add(content="tea", user_id=self.other)
        assert await self.memory.count(self.user) == 3
        assert await self.memory.count(self.user, scope="a/*") == 1
        async with self.client(grants=["read:a/*"]) as limited:
            assert await limited.count(self.user) == 1
            with pytest.raises(ScopeDeniedError, match="read:a"):
                await limited.count(self.user, scope="a")
        await self.memory.delete(ids[1])
        assert await self.memory.count(self.user) == 2


class FacetsContract(Contract):
    """`facets`."""

    async def _facets(self, by: str, **arguments: Any) -> list[tuple[Any, int]]:
        return [(facet.value, facet.count) for facet in await self.memory.facets(self.user, by=by, **arguments)]

    @requires("add", "facets", "scopes")
    async def test_scopes_tags_and_apps(self) -> None:
        for scope, tags, app in [
            ("a", ["x", "y", "x"], "one"),
            ("a", ["x"], "two"),
            ("b", [], "one"),
            (None, None, None),
            (None, ["y"], "one"),
            ("a", ["x"], None),
        ]:
            source = None if app is None else {"app": app}
            await self.memory.add(content="tea", user_id=self.user, scope=scope, tags=tags, source=source)
        await self.memory.add(content="tea", user_id=self.other, scope="hers", tags=["hers"])
        assert await self._facets("scope") == [("a", 3), (None, 2), ("b", 1)]
        assert await self._facets("tag") == [("x", 3), ("y", 2)]
        assert await self._facets("app") == [("one", 3), (None, 2), ("two", 1)]
        assert await self._facets("scope", limit=1) == [("a", 3)]
        async with self.client(grants=["read:b", "read:c"]) as limited:
            assert [facet.value for facet in await limited.facets(self.user, by="scope")] == ["b"]
            with pytest.raises(ScopeDeniedError, match="read:a"):
                await limited.facets(self.user, by="scope", scope="a")

    @requires("add", "facets", "scopes")
    async def test_of_equal_counts_the_newest_comes_first(self) -> None:
        records = [
            await self.memory.add(content="tea", user_id=self.user, scope=scope, tags=["z", "é", "a", "Z"])
            for scope in ("a", "c", "b", "a")
        ]
        facets = await self.memory.facets(self.user, by="scope")
        assert [(facet.value, facet.newest) for facet in facets] == [
            ("a", records[3].created_at),
            ("b", records[2].created_at),
            ("c", records[1].created_at),
        ]
        assert [value for value, _ in await self._facets("tag")] == ["Z", "a", "z", "é"]

    @requires("add", "facets", "metadata")
    @pytest.mark.parametrize("path", ["n", "deep.n"])
    async def test_values_of_metadata(self, path: str) -> None:
        values: list[Any] = [1, 1.0, "1", True, None, [1, 2], [1.0, 2], {"a": 1}, 1e23, 10**23, "", False, 0]
        for value in values:
            await self.memory.add(content="tea", user_id=self.user, metadata={"n": value, "deep": {"n": value}})
        for metadata in (None, {}, {"deep": 5}, {"deep": {"m": 1}}):
            await self.memory.add(content="tea", user_id=self.user, metadata=metadata)
        facets = await self._facets(f"metadata.{path}")
        assert facets[0] == (None, 5)
        found = [(type(value).__name__, value, count) for value, count in facets]
        expected: list[Any] = [
            ("str", "1", 1),
            ("bool", True, 1),
            ("list", [1, 2], 2),
            ("dict", {"a": 1}, 1),
            ("str", "", 1),
            ("bool", False, 1),
        ]
        assert [one for one in found if one[0] not in ("int", "float", "NoneType")] != []
        assert all(one in found for one in expected), found
        numbers = {value: count for name, value, count in found if name in ("int", "float")}
        assert numbers == {1: 2, 1e23: 2, 0: 1}
        assert len(found) == len(expected) + 3 + 1

    @requires("add", "facets", "metadata")
    async def test_awkward_names_and_values(self) -> None:
        texts = list(cases.HOSTILE.values())
        for text in texts:
            await self.memory.add(content="tea", user_id=self.user, tags=[text], metadata={"v": text, text: 1})
        for by in ("tag", "metadata.v"):
            assert {value for value, _ in await self._facets(by)} == set(texts)
        for text in texts:
            path = text.replace("\\", "\\\\").replace(".", "\\.")
            assert await self._facets(f"metadata.{path}") == [(None, len(texts) - 1), (1, 1)]


class HistoryContract(Contract):
    """`history`."""

    async def _ids(self, id: str, **arguments: Any) -> list[str]:
        return [record.id for record in await self.memory.history(id, **arguments)]

    async def _add(self, *supersedes: str, **fields: Any) -> str:
        arguments: dict[str, Any] = {"content": "tea", "user_id": self.user, **fields}
        record = await self.memory.add(**arguments, supersedes=supersedes or None, supersede_ended=True)
        return record.id

    @requires("add", "get", "history", "supports_supersession")
    async def test_a_history_goes_both_ways(self) -> None:
        await self._add()
        first = await self._add()
        second = await self._add(first)
        third = await self._add(second)
        for id in (first, second, third):
            records = await self.memory.history(id)
            assert [record.id for record in records] == [first, second, third]
            assert records == [await self.memory.get(record.id) for record in records]

    @requires("add", "history", "supports_supersession")
    async def test_a_history_has_branches(self) -> None:
        """Those beside a memory are not in its history: it neither superseded them nor the other way around."""
        roots = [await self._add(), await self._add()]
        left, right = await self._add(*roots), await self._add(roots[1])
        top = await self._add(left, right)
        assert await self._ids(top) == [*roots, left, right, top]
        assert await self._ids(left) == [*roots, left, top]
        assert await self._ids(right) == [roots[1], right, top]
        assert await self._ids(roots[0]) == [roots[0], left, top]
        assert await self._ids(roots[1]) == [roots[1], left, right, top]

    @requires("add", "update", "history", "supports_supersession")
    async def test_a_history_may_go_in_a_circle(self) -> None:
        first = await self._add()
        second = await self._add(first)
        await self.memory.update(first, supersedes=[second], supersede_ended=True)
        assert await self._ids(first) == await self._ids(second) == [first, second]

    @requires("add", "delete", "history", "supports_supersession")
    async def test_what_was_deleted_parts_a_history(self) -> None:
        first = await self._add()
        second = await self._add(first)
        third = await self._add(second)
        await self.memory.delete(second)
        assert (await self._ids(first), await self._ids(third)) == ([first], [third])

    @requires("add", "history", "supports_supersession", "scopes")
    async def test_a_history_shows_what_its_reader_may_read(self) -> None:
        first = await self._add(scope="a/x")
        hidden = await self._add(first, scope="b")
        third = await self._add(hidden, first, scope="a/y")
        async with self.client(grants=["read:a/*"]) as limited:
            records = await limited.history(third)
            assert [(record.id, record.supersedes) for record in records] == [(first, None), (third, [first])]
            with pytest.raises(ScopeDeniedError, match="read:b"):
                await limited.history(hidden)

    @requires("add", "history")
    async def test_history_of_an_unknown_id(self) -> None:
        await self.assert_not_found("history")
        record = await self.memory.add(content="tea", user_id=self.user)
        assert await self.memory.history(record.id) == [record]

    @requires("add", "history", "audit", "supports_audit", "audits_reads")
    async def test_a_history_leaves_one_entry(self) -> None:
        id = await self._add()
        await self._ids(id)
        assert [(entry.action, entry.memory_id) for entry in await self.memory.audit(self.user)] == [
            ("history", id),
            ("add", id),
        ]


class UsersContract(Contract):
    """`users`."""

    @requires("add", "users", "delete")
    async def test_users_are_listed_page_by_page(self) -> None:
        names = [f"{self.user}/{name}" for name in ("a", "B", "b%", "b_", "é", "🙂", "b")]
        newest = {}
        for user in (*names, *names[:3]):
            newest[user] = (await self.memory.add(content="tea", user_id=user)).created_at
        gone = await self.memory.add(content="tea", user_id=f"{self.user}/gone")
        await self.memory.delete(gone.id)
        in_order = sorted(names)
        for limit in (1, 3, 7):
            page = await self.memory.users(prefix=f"{self.user}/", limit=limit)
            listed = list(page)
            while page.next_cursor is not None:
                page = await self.memory.users(prefix=f"{self.user}/", limit=limit, cursor=page.next_cursor)
                assert 0 < len(page) <= limit
                listed += page
            assert [summary.user_id for summary in listed] == in_order
            counts = {summary.user_id: (summary.count, summary.newest) for summary in listed}
            assert counts == {user: (2 if user in names[:3] else 1, newest[user]) for user in names}

    @requires("add", "users")
    async def test_a_prefix_is_literal(self) -> None:
        for name in ("a%", "ab", "a_", "A%"):
            await self.memory.add(content="tea", user_id=f"{self.user}{name}")
        for prefix, expected in {"a": ["a%", "a_", "ab"], "a%": ["a%"], "a_": ["a_"], "%": [], "ab": ["ab"]}.items():
            page = await self.memory.users(prefix=f"{self.user}{prefix}")
            assert [summary.user_id.removeprefix(self.user) for summary in page] == expected

    @requires("add", "users", "list")
    async def test_a_cursor_of_users_that_is_malformed_or_foreign_is_refused(self) -> None:
        for name in "ab":
            for _ in range(2):
                await self.memory.add(content="tea", user_id=f"{self.user}{name}")
        cursor = (await self.memory.users(prefix=self.user, limit=1)).next_cursor
        of_memories = (await self.memory.list(f"{self.user}a", limit=1)).next_cursor
        assert cursor is not None
        assert of_memories is not None
        for bad in ("", "x", "a\0b", "\ud800", "e30", "W10", cursor[:-3], of_memories):
            with pytest.raises(InvalidRequestError, match="cursor"):
                await self.memory.users(prefix=self.user, limit=1, cursor=bad)
        with pytest.raises(InvalidRequestError, match="cursor"):
            await self.memory.users(limit=1, cursor=cursor)

    @requires("add", "users", "update", "expiry")
    async def test_what_has_expired_does_not_count(self) -> None:
        for user in (self.user, f"{self.user}2"):
            await self.memory.add(content="tea", user_id=user, expires_at="2020-01-01")
        await self.memory.add(content="tea", user_id=self.user)
        page = await self.memory.users(prefix=self.user)
        assert [(summary.user_id, summary.count) for summary in page] == [(self.user, 1)]


class OwnersContract(Contract):
    """``user_id`` of the verbs that name an id."""

    @requires("add", "get")
    @pytest.mark.parametrize(
        ("verb", "arguments"),
        [("get", {}), ("update", {"tags": ["x"]}), ("delete", {}), ("history", {})],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    async def test_a_memory_of_another_user_is_not_there(self, verb: str, arguments: dict[str, Any]) -> None:
        if not self.offers(verb):
            return
        hers = await self.memory.add(content="green tea", user_id=self.other)
        with pytest.raises(NotFoundError) as refusal:
            await getattr(self.memory, verb)(hers.id, user_id=self.user, **arguments)
        with pytest.raises(NotFoundError) as unknown:
            await getattr(self.memory, verb)("mem_unknown", user_id=self.user, **arguments)
        assert refusal.value.message == unknown.value.message.replace("mem_unknown", hers.id)
        assert await self.memory.get(hers.id, user_id=self.other) == hers
        result = await getattr(self.memory, verb)(hers.id, user_id=self.other, **arguments)
        if verb == "update":
            assert result.tags == ["x"]

    @requires("add", "get", "update", "delete", "scopes")
    async def test_grants_do_not_tell_of_another_user(self) -> None:
        hers = await self.memory.add(content="green tea", user_id=self.other, scope="secret")
        async with self.client(grants=["read:a", "write:a", "delete:a"]) as limited:
            for verb, arguments in [("get", {}), ("update", {"tags": ["x"]}), ("delete", {})]:
                with pytest.raises(NotFoundError):
                    await getattr(limited, verb)(hers.id, user_id=self.user, **arguments)
        assert await self.memory.get(hers.id) == hers
