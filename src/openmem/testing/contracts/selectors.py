"""Which memories every selecting verb selects, and that a search finds all of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import pytest

from ...errors import InvalidRequestError
from ...selection import Order
from ..contract import Contract, requires

MEMORIES: Final[dict[str, dict[str, Any]]] = {
    "a": {"scope": "a", "tags": ["x"], "source": {"app": "one"}, "metadata": {"n": 1}},
    "b": {"scope": "a/b", "tags": ["x", "y"], "source": {"app": "two"}, "metadata": {"n": 9}},
    "c": {"scope": "a/b/c", "tags": ["y", "z"], "metadata": {"n": 10}},
    "d": {"source": {"app": "one"}},
    "past": {
        "scope": "ab",
        "tags": ["z"],
        "metadata": {"n": "9"},
        "valid_from": datetime(2020, 1, 1, tzinfo=UTC),
        "valid_to": datetime(2021, 1, 1, tzinfo=UTC),
    },
    "recent": {"scope": "b", "tags": [], "source": {"ref": "one"}, "valid_from": datetime(2024, 1, 1, tzinfo=UTC)},
}
SUMMER: Final = datetime(2020, 6, 1, tzinfo=UTC)
IN_SUMMER: Final = {"a", "b", "c", "d", "past"}

SELECTORS: Final[dict[str, tuple[dict[str, Any], set[str]]]] = {
    "everything": ({}, set(MEMORIES)),
    "a scope and all below": ({"scope": "a/**"}, {"a", "b", "c"}),
    "all below a scope": ({"scope": "a/*"}, {"b", "c"}),
    "every scope": ({"scope": "*"}, set(MEMORIES) - {"d"}),
    "several scopes": ({"scope": ["a/*", "b/**", "nowhere/*"]}, {"b", "c", "recent"}),
    "overlapping scopes": ({"scope": ["a/**", "a/*", "a/b/*"]}, {"a", "b", "c"}),
    "one tag": ({"tags": ["x"]}, {"a", "b"}),
    "all tags": ({"tags": ["x", "y"]}, {"b"}),
    "a tag twice": ({"tags": ["x", "x"]}, {"a", "b"}),
    "any tag": ({"any_tags": ["x", "z", "nothing"]}, {"a", "b", "c", "past"}),
    "tags of both kinds": ({"tags": ["y"], "any_tags": ["x", "z"]}, {"b", "c"}),
    "no tags": ({"tags": []}, set(MEMORIES)),
    "like a tag": ({"tags": ["%"]}, set()),
    "an app": ({"app": "one"}, {"a", "d"}),
    "like an app": ({"app": "on_"}, set()),
    "a moment": ({"as_of": SUMMER}, IN_SUMMER),
    "the first moment": ({"as_of": datetime(2020, 1, 1, tzinfo=UTC), "scope": "ab/**"}, {"past"}),
    "the end": ({"as_of": datetime(2021, 1, 1, tzinfo=UTC), "scope": "ab/**"}, set()),
    "metadata": ({"where": {"n": {"$gte": 9}}}, {"b", "c"}),
    "two at once": ({"scope": "a/**", "where": {"n": {"$lt": 10}}, "tags": ["x"]}, {"a", "b"}),
    "three at once": ({"as_of": SUMMER, "any_tags": ["z"], "where": {"n": "9"}}, {"past"}),
}


class SelectorsContract(Contract):
    """One selection for all verbs: `list`, `search`, `context`, `count`, `facets` and `delete_many`."""

    async def _add_selectable(self) -> dict[str, str]:
        """The names of `MEMORIES` by id."""
        names = {}
        for number, (name, fields) in enumerate(MEMORIES.items()):
            names[(await self.memory.add(content=f"tea number {number}", user_id=self.user, **fields)).id] = name
        await self.memory.add(content="tea of another", user_id=self.other, **MEMORIES["b"])
        return names

    async def _assert_selects(self, names: dict[str, str], filters: dict[str, Any], expected: set[str]) -> None:
        valid = expected if "as_of" in filters else expected - {"past"}
        if self.offers("list"):
            listed = (await self.memory.list(self.user, **filters)).items
            assert sorted(names[item.id] for item in listed) == sorted(expected)
        if self.offers("search"):
            hits = await self.memory.search("tea", self.user, **filters)
            assert sorted(names[hit.memory.id] for hit in hits) == sorted(valid)
        if self.offers("context"):
            block = await self.memory.context("tea", self.user, token_budget=5000, **filters)
            assert sorted(names[citation.memory_id] for citation in block.citations) == sorted(valid)
        if self.offers("count"):
            assert await self.memory.count(self.user, **filters) == len(expected)
        if self.offers("facets"):
            facets = await self.memory.facets(self.user, by="scope", **filters)
            assert {facet.value: facet.count for facet in facets} == {
                MEMORIES[name].get("scope"): 1 for name in expected
            }
        if self.offers("delete_many"):
            selector = filters if any(filters.values()) else {"everything": True}
            assert await self.memory.delete_many(self.user, **selector, dry_run=True) == len(expected)

    @requires("add", "metadata", "filters", "temporal", "scopes")
    async def test_a_selector_selects_in_every_verb(self) -> None:
        names = await self._add_selectable()
        for filters, expected in SELECTORS.values():
            await self._assert_selects(names, filters, expected)

    @requires("add", "list", "metadata", "filters", "temporal", "scopes")
    async def test_the_time_of_creation_selects_in_every_verb(self) -> None:
        names = await self._add_selectable()
        created = [item.created_at for item in (await self.memory.list(self.user)).items][::-1]
        in_order = list(MEMORIES)
        for first, last in [(1, 3), (0, None), (None, 4), (4, 2)]:
            given = {"since": first, "until": last}
            filters = {name: created[number] for name, number in given.items() if number is not None}
            await self._assert_selects(names, filters, set(in_order[first or 0 : last]))

    @requires("add", "delete_many", "list", "metadata", "filters", "temporal", "scopes")
    @pytest.mark.parametrize("selector", [name for name, (filters, _) in SELECTORS.items() if any(filters.values())])
    async def test_a_selector_deletes_what_it_selects(self, selector: str) -> None:
        filters, expected = SELECTORS[selector]
        names = await self._add_selectable()
        assert await self.memory.delete_many(self.user, **filters) == len(expected)
        left = {names[item.id] for item in (await self.memory.list(self.user)).items}
        assert left == set(MEMORIES) - expected
        assert len((await self.memory.list(self.other)).items) == 1
        assert await self.memory.delete_many(self.user, **filters) == 0

    @requires("add", "search", "context", "filters", "scopes")
    async def test_plain_scopes_are_exact_but_in_a_context(self) -> None:
        names = await self._add_selectable()
        hits = await self.memory.search("tea", self.user, scope=["a", "b"])
        assert {names[hit.memory.id] for hit in hits} == {"a", "recent"}
        block = await self.memory.context("tea", self.user, scope=["a", "b"], token_budget=5000)
        assert {names[citation.memory_id] for citation in block.citations} == {"a", "b", "c", "recent"}

    @requires("add", "update", "list", "filters")
    async def test_a_list_has_an_order(self) -> None:
        ids = [(await self.memory.add(content=f"tea {n}", user_id=self.user)).id for n in range(5)]
        for number in (3, 0):
            await self.memory.update(ids[number], tags=["x"])
        last = (await self.memory.add(content="tea", user_id=self.user)).id
        await self.memory.update(ids[2], tags=["x"])
        expected: dict[Order, list[str]] = {
            "newest": [last, *ids[::-1]],
            "oldest": [*ids, last],
            "updated": [ids[2], last, ids[0], ids[3], ids[4], ids[1]],
        }
        for order, in_order in expected.items():
            for limit in (1, 2, 6):
                page = await self.memory.list(self.user, order=order, limit=limit)
                listed = [item.id for item in page.items]
                while page.next_cursor is not None:
                    page = await self.memory.list(self.user, order=order, limit=limit, cursor=page.next_cursor)
                    listed += [item.id for item in page.items]
                    assert len(listed) <= len(in_order)
                assert listed == in_order
        cursor = (await self.memory.list(self.user, order="oldest", limit=1)).next_cursor
        with pytest.raises(InvalidRequestError, match="cursor"):
            await self.memory.list(self.user, limit=1, cursor=cursor)

    @requires("add", "list", "filters", "metadata")
    async def test_iterating_goes_through_all_pages(self) -> None:
        ids = [(await self.memory.add(content=f"tea {n}", user_id=self.user, metadata={"n": n})).id for n in range(5)]
        page = await self.memory.list(self.user, limit=2)
        assert (len(page), [item.id for item in page], page[0].id) == (2, ids[:2:-1], ids[4])
        cursor = page.next_cursor
        for other in ({"where": {"n": {"$gt": 1}}}, {"tags": ["x"]}, {"app": "x"}, {"as_of": SUMMER}, {"scope": ["a"]}):
            with pytest.raises(InvalidRequestError, match="cursor"):
                await self.memory.list(self.user, limit=2, cursor=cursor, **other)
        first = await self.memory.list(self.user, limit=2, where={"n": {"$gt": 1, "$lt": 10.0}})
        assert first.next_cursor is not None
        rest = await self.memory.list(
            self.user, limit=2, where={"n": {"$gt": 1, "$lt": 10.0}}, cursor=first.next_cursor
        )
        assert [item.id for item in (*first, *rest)] == ids[:1:-1]

    @requires("add_many", "search", "metadata", "filters", "scopes")
    async def test_a_search_finds_all_that_a_filter_lets_through(self) -> None:
        """However many others answer better."""
        hidden: dict[str, Any] = {
            "scope": "rare/one",
            "tags": ["rare"],
            "source": {"app": "rare"},
            "metadata": {"rare": True},
        }
        records: list[dict[str, Any]] = [
            {"content": f"tea in cup {number}", "user_id": self.user, **hidden}
            if number % 50 == 7
            else {"content": f"green tea number {number}", "user_id": self.user, "metadata": {"rare": False}}
            for number in range(3000)
        ]
        wanted = {record.id for record in await self.memory.add_many(records) if record.tags}
        assert len(wanted) == 60
        for filters in (
            {"where": {"rare": True}},
            {"where": {"rare": {"$in": [True, "x"]}}, "tags": ["rare"]},
            {"tags": ["rare"]},
            {"any_tags": ["rare", "rarer"]},
            {"app": "rare"},
            {"scope": "rare/**"},
            {"scope": ["rare/one", "nowhere"]},
        ):
            for limit in (60, 100):
                hits = await self.memory.search("green tea number 1234", self.user, limit=limit, **filters)
                assert {hit.memory.id for hit in hits} == wanted
            assert len(await self.memory.search("green tea number 1234", self.user, limit=7, **filters)) == 7
