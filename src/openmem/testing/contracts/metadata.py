"""Metadata, and filters of it."""

from __future__ import annotations

from typing import Any, Final

from ...models import MemoryRecord
from .. import cases
from ..contract import Contract, requires

METADATA: Final[dict[str, dict[str, Any] | None]] = {
    "nine": {"n": 9, "topic": "diet", "deep": {"kind": "a", "list": [1, 2]}},
    "ten": {"n": 10, "topic": "sport", "deep": {"kind": None}},
    "ten as a float": {"n": 10.0, "topic": ["diet"]},
    "nine as a text": {"n": "9"},
    "nine and a half": {"n": 9.5},
    "a negative number": {"n": -1},
    "zero": {"n": 0},
    "a large number": {"n": 1e23},
    "a little more": {"n": 10**23 + 1},
    "true": {"n": True},
    "null": {"n": None},
    "a list": {"n": [1, 2]},
    "an object": {"n": {"m": 1}},
    "an empty object": {"n": {}},
    "another field": {"m": 9},
    "nothing in it": {},
    "none": None,
}
EVERYTHING: Final = frozenset(METADATA)
WITHOUT: Final = frozenset({"another field", "nothing in it", "none"})
"""Those without `n`."""

FILTERS: Final[tuple[tuple[dict[str, Any], frozenset[str]], ...]] = tuple(
    (where, frozenset(expected))
    for where, expected in (
        ({"n": 9}, {"nine"}),
        ({"n": 9.0}, {"nine"}),
        ({"n": 10}, {"ten", "ten as a float"}),
        ({"n": "9"}, {"nine as a text"}),
        ({"n": 1}, ()),
        ({"n": False}, ()),
        ({"n": True}, {"true"}),
        ({"n": None}, {"null"}),
        ({"n": 1e23}, {"a large number"}),
        ({"n": 10**23}, {"a large number"}),
        ({"n": 10**23 + 1}, {"a little more"}),
        ({"n": [1, 2]}, {"a list"}),
        ({"n": [1.0, 2]}, {"a list"}),
        ({"n": [2, 1]}, ()),
        ({"n": {"m": 1}}, {"an object"}),
        ({"n": {"$eq": {"m": 1.0}}}, {"an object"}),
        ({"n": {}}, {"an empty object"}),
        ({"n.m": 1}, {"an object"}),
        ({"n.m": {"$exists": False}}, EVERYTHING - {"an object"}),
        ({"n": {"$gt": 9}}, {"nine and a half", "ten", "ten as a float", "a large number", "a little more"}),
        ({"n": {"$gte": 9, "$lt": 10}}, {"nine", "nine and a half"}),
        ({"n": {"$lte": 9}}, {"nine", "zero", "a negative number"}),
        ({"n": {"$lt": -0.5}}, {"a negative number"}),
        ({"n": {"$gt": 1e23}}, {"a little more"}),
        ({"n": {"$gt": "10"}}, {"nine as a text"}),
        ({"n": {"$lt": "9"}}, ()),
        ({"n": {"$ne": 9}}, EVERYTHING - {"nine"}),
        ({"n": {"$ne": None}}, EVERYTHING - {"null"}),
        ({"n": {"$in": [9, True, "9", None, [1, 2]]}}, {"nine", "true", "nine as a text", "null", "a list"}),
        ({"n": {"$in": []}}, ()),
        ({"n": {"$nin": [9, 10, "9"]}}, EVERYTHING - {"nine", "ten", "ten as a float", "nine as a text"}),
        ({"n": {"$nin": []}}, EVERYTHING),
        ({"n": {"$exists": True}}, EVERYTHING - WITHOUT),
        ({"n": {"$exists": False}}, WITHOUT),
        ({"topic": "diet"}, {"nine"}),
        ({"topic": "Diet"}, ()),
        ({"topic": "d%"}, ()),
        ({"deep.kind": "a"}, {"nine"}),
        ({"deep.kind": None}, {"ten"}),
        ({"deep": {"kind": None}}, {"ten"}),
        ({"deep.kind": {"$exists": True}}, {"nine", "ten"}),
        ({"deep.list": [1, 2]}, {"nine"}),
        ({"deep.list.0": 1}, ()),
        ({"deep.kind.a": {"$exists": True}}, ()),
        ({"n": {"$gt": 5}, "topic": "sport"}, {"ten"}),
        ({"$and": [{"n": {"$gt": 5}}, {"topic": "sport"}]}, {"ten"}),
        ({"$or": [{"topic": "diet"}, {"n": "9"}, {"m": 9}]}, {"nine", "nine as a text", "another field"}),
        ({"$not": {"n": {"$exists": True}}}, WITHOUT),
        ({"$not": {"n": 9}}, EVERYTHING - {"nine"}),
        (
            {"$not": {"n": {"$gt": 9}}},
            EVERYTHING - {"nine and a half", "ten", "ten as a float", "a large number", "a little more"},
        ),
        ({"$not": {"$or": [{"n": {"$exists": True}}, {"m": 9}]}}, {"nothing in it", "none"}),
        ({"$and": [{"$not": {"n": 9}}, {"$or": [{"topic": "diet"}, {"topic": "sport"}]}]}, {"ten"}),
    )
)

WORDS: Final = (
    "",
    "A",
    "Z",
    "a",
    "aa",
    "b",
    "z",
    "É",
    "é",
    "e\u0301",
    "ß",
    "Ω",
    "中",
    "🙂",
    "a b",
    "a-b",
    "a_b",
    "10",
    "9",
)


def path_of(name: str) -> str:
    """The path of a field with this name."""
    path = name.replace("\\", "\\\\").replace(".", "\\.")
    return f"\\{path}" if path.startswith("$") else path


class MetadataContract(Contract):
    """`metadata`, and ``where``."""

    async def _add_all_metadata(self) -> dict[str, str]:
        """The names of `METADATA` by the ids of memories with it."""
        names = {}
        for number, (name, metadata) in enumerate(METADATA.items()):
            record = await self.memory.add(content=f"tea number {number}", user_id=self.user, metadata=metadata)
            names[record.id] = name
        await self.memory.add(content="tea of another", user_id=self.other, metadata=METADATA["nine"])
        return names

    @requires("add", "get", "list", "metadata")
    async def test_metadata_comes_back(self) -> None:
        metadata: dict[str, Any] = {
            "deep": [1, 2.5, True, None, {"a": "ä"}],
            "empty": {},
            "none": None,
            "big": 2**70,
            "huge": 1e23,
            "tiny": 1e-300,
            "longest": 10**640 - 1,
            "halves": cases.HALVES,
            **{text: [text, {text: text}] for text in cases.HOSTILE.values()},
        }
        added = [await self.memory.add(content="tea", user_id=self.user, metadata=metadata)]
        if self.offers("add_many"):
            added += await self.memory.add_many([{"content": "tea", "user_id": self.user, "metadata": metadata}])
        expected = metadata | {"halves": cases.WHOLE}
        listed = (await self.memory.list(self.user)).items
        assert listed == added[::-1]
        for record in (*added, *listed, await self.memory.get(added[0].id)):
            assert record.metadata == expected
            assert record.metadata is not None
            assert [type(record.metadata[name]) for name in ("big", "huge", "longest")] == [int, float, int]

    @requires("add", "get", "metadata")
    async def test_empty_metadata_is_not_none(self) -> None:
        given: list[dict[str, Any] | None] = [{}, None]
        for metadata in given:
            record = await self.memory.add(content="tea", user_id=self.user, metadata=metadata)
            assert record.metadata == metadata
            assert await self.memory.get(record.id) == record

    @requires("add", "get", "update", "metadata")
    async def test_an_update_replaces_metadata(self) -> None:
        record = await self.memory.add(content="tea", user_id=self.user, metadata={"a": 1, "b": {"c": 2}})
        assert (await self.memory.update(record.id, tags=["x"])).metadata == {"a": 1, "b": {"c": 2}}
        replacements: list[dict[str, Any] | None] = [{"b": {"d": 3}}, {}, None, {"e": 1e23}]
        for metadata in replacements:
            updated = await self.memory.update(record.id, metadata=metadata)
            assert updated.metadata == metadata
            assert updated.content == "tea"
            assert await self.memory.get(record.id) == updated

    @requires("add", "list", "metadata")
    async def test_a_filter_selects(self) -> None:
        names = await self._add_all_metadata()
        for where, expected in FILTERS:
            listed = (await self.memory.list(self.user, where=where, limit=500)).items
            assert {names[item.id] for item in listed} == expected, where
            assert len(listed) == len(expected), where

    @requires("add", "search", "metadata")
    async def test_a_filter_selects_within_a_search(self) -> None:
        names = await self._add_all_metadata()
        for where, expected in FILTERS:
            hits = await self.memory.search("tea", self.user, where=where, limit=100)
            assert {names[hit.memory.id] for hit in hits} == expected, where
            limit = max(1, len(expected) - 1)
            hits = await self.memory.search("tea", self.user, where=where, limit=limit)
            assert len(hits) == min(limit, len(expected)), where

    @requires("add", "list", "metadata")
    async def test_texts_are_in_the_order_of_code_points(self) -> None:
        for word in WORDS:
            await self.memory.add(content="tea", user_id=self.user, metadata={"word": word})
        for pivot in WORDS:
            for operator, expected in {
                "$lt": {word for word in WORDS if word < pivot},
                "$lte": {word for word in WORDS if word <= pivot},
                "$gt": {word for word in WORDS if word > pivot},
                "$gte": {word for word in WORDS if word >= pivot},
                "$eq": {pivot},
            }.items():
                listed = (await self.memory.list(self.user, where={"word": {operator: pivot}}, limit=500)).items
                assert {_word_of(item) for item in listed} == expected, (operator, pivot)

    @requires("add", "list", "metadata")
    async def test_awkward_names_and_values_select_as_they_stand(self) -> None:
        texts = [*cases.HOSTILE.values(), "a.b", "a\\.b", "$gt", "$", "\\", "a$b", "*", "0", "{a,b}", '"', "'"]
        ids = {}
        for text in texts:
            metadata = {text: text, "deep": {text: {"x": text}}, "value": text}
            ids[text] = (await self.memory.add(content="tea", user_id=self.user, metadata=metadata)).id
        await self.memory.add(content="tea", user_id=self.user, metadata={"a": {"b": "a.b"}})
        for text in texts:
            path = path_of(text)
            filters: list[dict[str, Any]] = [
                {path: text},
                {path: {"$exists": True}},
                {path: {"$gte": text}},
                {f"deep.{path}.x": {"$in": [text]}},
                {"value": text},
                {"value": {"$in": [text]}},
                {"deep": {"$eq": {text: {"x": text}}}},
            ]
            for where in filters:
                listed = (await self.memory.list(self.user, where=where)).items
                assert [item.id for item in listed] == [ids[text]], where

    @requires("add", "update", "list", "metadata")
    async def test_filters_follow_an_update(self) -> None:
        record = await self.memory.add(content="tea", user_id=self.user, metadata={"n": 1})
        await self.memory.update(record.id, metadata={"n": 2})
        assert (await self.memory.list(self.user, where={"n": 1})).items == []
        assert [item.id for item in (await self.memory.list(self.user, where={"n": 2})).items] == [record.id]
        await self.memory.update(record.id, metadata=None)
        assert (await self.memory.list(self.user, where={"n": {"$exists": True}})).items == []

    @requires("add", "list", "metadata")
    async def test_metadata_can_be_as_large_as_promised(self) -> None:
        record = await self.memory.add(content="tea", user_id=self.user, metadata={"a": "é" * 8_180, "b": 1})
        assert (await self.memory.list(self.user, where={"b": 1})).items == [record]
        nested: Any = 1
        for _ in range(31):
            nested = {"a": nested}
        record = await self.memory.add(content="tea", user_id=self.user, metadata=nested)
        assert (await self.memory.list(self.user, where={".".join(["a"] * 31): 1})).items == [record]


def _word_of(record: MemoryRecord) -> str:
    assert record.metadata is not None
    return str(record.metadata["word"])
