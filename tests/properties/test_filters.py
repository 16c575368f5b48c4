"""What the database selects by metadata and by the other filters is what `Selection` says, hostile names included."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmem import Memory
from openmem.access import UNRESTRICTED
from openmem.filters import equal, parse_filter, parse_path
from openmem.operations import Count, List
from openmem.providers.postgres.json_paths import path_of, predicate_of, split_filter
from openmem.providers.postgres.rows import metadata_json
from openmem.selection import Order, Position

from .strategies import documents, new_user

NAMES: Final = (
    "a", "b", "a b", "a.b", "$a", "$", "\\", "\\.", '"', "'", "@", "*", "key", "é", "🙂", "\n", "\x7f", "%s", ":id",
    "{a}",
)  # fmt: skip
LARGE: Final = 10**639 + 1
SCALARS: Final[Sequence[Any]] = (
    None, True, False, 0, -0.0, 1, 1.0, -1, 9, 10, 0.1, 1e23, 10**23, 1e-7, 5e-324, -1.7976931348623157e308, LARGE,
    -LARGE, "", "9", "10", "a", "ab", "A", "é", "\uffff", "🙂", '"\\\n', "1", "true", "null", "$.a",
)  # fmt: skip


def nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
        max_leaves=5,
    )


values = nested(st.sampled_from(SCALARS)) | documents
objects = st.dictionaries(st.sampled_from(NAMES[:6]), values, max_size=3)
paths = st.lists(st.sampled_from(NAMES[:6]) | st.sampled_from(NAMES), min_size=1, max_size=3).map(
    lambda names: ".".join(map(escaped, names))
)
comparisons = st.one_of(
    st.dictionaries(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), st.sampled_from(SCALARS).filter(
        lambda value: isinstance(value, str | float | int) and not isinstance(value, bool)
    ), min_size=1, max_size=2),
    st.dictionaries(st.sampled_from(["$eq", "$ne"]), values, min_size=1),
    st.dictionaries(st.sampled_from(["$in", "$nin"]), st.lists(values, max_size=3), min_size=1),
    st.dictionaries(st.just("$exists"), st.booleans(), min_size=1),
)  # fmt: skip
plain_filters = st.dictionaries(paths, comparisons, min_size=1, max_size=2)
equalities = st.dictionaries(paths, st.sampled_from(SCALARS), min_size=1, max_size=2)
filters = st.recursive(
    plain_filters,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"$not": inner}),
        st.dictionaries(
            st.sampled_from(["$and", "$or"]), st.lists(inner, min_size=1, max_size=2), min_size=1, max_size=2
        ),
    ),
    max_leaves=3,
)


def escaped(name: str) -> str:
    """A name as a path says it."""
    name = name.replace("\\", "\\\\").replace(".", "\\.")
    return f"\\{name}" if name.startswith("$") else name


def holding(metadata: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Filters by what a field holds, which random ones seldom meet."""
    fields = list(_fields(metadata, ()))
    return st.sampled_from(fields).map(lambda field: {field[0]: {"$eq": field[1]}}) if fields else filters


def _fields(value: Any, path: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        for name, member in value.items():
            if name:
                yield ".".join(map(escaped, (*path, name))), member
                yield from _fields(member, (*path, name))


@pytest.fixture(scope="module")
def admin(url: str) -> Any:
    with psycopg.connect(url, autocommit=True) as admin:
        yield admin


@settings(max_examples=400)
@given(st.data(), st.lists(objects, min_size=1, max_size=6))
def test_a_path_selects_what_the_filter_matches(admin: Any, data: st.DataObject, stored: list[Any]) -> None:
    where = data.draw(filters | st.sampled_from(stored).flatmap(holding))
    try:
        parsed = parse_filter(where)
    except ValueError:
        return
    selected = admin.execute(
        "SELECT coalesce(m.metadata, '{}') @@ %s::jsonpath "
        "FROM unnest(%s::text[]) WITH ORDINALITY AS given (text, number) "
        "CROSS JOIN LATERAL (SELECT given.text::jsonb AS metadata) m ORDER BY number",
        (predicate_of(parsed), [None, *map(metadata_json, stored)]),
    ).fetchall()
    assert [row[0] for row in selected] == [parsed.matches(metadata) for metadata in ({}, *stored)]


@settings(max_examples=400)
@given(st.data(), st.lists(objects, min_size=1, max_size=6))
def test_what_must_be_contained_and_the_rest_are_the_filter(admin: Any, data: st.DataObject, stored: list[Any]) -> None:
    parts = st.sampled_from(stored).flatmap(holding) | equalities | filters
    where = {"$and": data.draw(st.lists(parts, min_size=1, max_size=4))}
    try:
        parsed = parse_filter(where)
    except ValueError:
        return
    contained, rest = split_filter(parsed)
    selected = admin.execute(
        "SELECT coalesce((%s::jsonb IS NULL OR m.metadata @> %s::jsonb) "
        "AND (%s::jsonpath IS NULL OR coalesce(m.metadata, '{}') @@ %s::jsonpath), false) "
        "FROM unnest(%s::text[]) WITH ORDINALITY AS given (text, number) "
        "CROSS JOIN LATERAL (SELECT given.text::jsonb AS metadata) m ORDER BY number",
        (
            *[None if contained is None else metadata_json(contained)] * 2,
            *[None if rest is None else predicate_of(rest)] * 2,
            [None, *map(metadata_json, stored)],
        ),
    ).fetchall()
    assert [row[0] for row in selected] == [parsed.matches(metadata) for metadata in ({}, *stored)]


def test_only_fields_that_equal_a_value_must_be_contained() -> None:
    where = {
        "a": 1,
        "b.c": None,
        "$and": [{"b": {"c": None}}, {"b.c": 2}, {"b.c.d": 3}, {"e": [1]}],
        "f": {"$eq": "x", "$gt": "w"},
        "$not": {"g": 1},
    }
    contained, rest = split_filter(parse_filter(where))
    assert contained == {"a": 1, "b": {"c": None}, "f": "x"}
    assert rest == parse_filter({"$and": where["$and"], "f": {"$gt": "w"}, "$not": {"g": 1}})
    assert split_filter(parse_filter({"a": {"$ne": 1}})) == (None, parse_filter({"a": {"$ne": 1}}))
    assert split_filter(parse_filter({"a": True})) == ({"a": True}, None)


@settings(max_examples=100)
@given(st.data(), objects)
def test_a_field_is_found_by_its_path(admin: Any, data: st.DataObject, metadata: Any) -> None:
    fields = dict(_fields(metadata, ()))
    path = data.draw(st.sampled_from(sorted(fields)) | paths if fields else paths)
    [[found]] = admin.execute(
        "SELECT jsonb_path_query_first(%s::jsonb, %s::jsonpath, '{}', true)::text",
        (metadata_json(metadata), path_of(parse_path(path))),
    )
    assert (found is not None) == (path in fields)
    assert found is None or equal(json.loads(found), fields[path])


def test_a_list_of_thousands_is_compared(admin: Any) -> None:
    many = list(range(3000))
    for where, is_selected in (({"a": many}, True), ({"a": [*many, 1]}, False), ({"a": {"$nin": [many]}}, False)):
        [[found]] = admin.execute(
            "SELECT %s::jsonb @@ %s::jsonpath", (metadata_json({"a": many}), predicate_of(parse_filter(where)))
        )
        assert found is is_selected


NOW: Final = datetime.now(UTC)
TIMES: Final = [NOW + timedelta(days=days) for days in (-2, -1, 1, 2)]
scopes = st.sampled_from(["a", "a/b", "a/b/c", "a%", "b"])
memories = st.fixed_dictionaries(
    {"content": st.just("tea"), "indexed": st.just(True)},
    optional={
        "scope": scopes,
        "tags": st.lists(st.sampled_from("xyz"), max_size=3),
        "metadata": st.dictionaries(st.sampled_from("ab"), st.sampled_from([1, 2, "1", None]), max_size=2),
        "source": st.sampled_from([{"app": "one"}, {"app": "two"}, {"ref": "one"}]),
        "valid_from": st.sampled_from(TIMES[:3]),
        "valid_to": st.sampled_from(TIMES[2:]),
    },
)
tags = st.lists(st.sampled_from("xyz"), min_size=1, max_size=2)
selections = st.fixed_dictionaries(
    {},
    optional={
        "scope": scopes | st.lists(st.sampled_from(["a", "a/*", "a/**", "*", "b"]), min_size=1, max_size=2),
        "tags": tags,
        "any_tags": tags,
        "where": st.sampled_from([{"a": 1}, {"a": {"$ne": 1}}, {"b": {"$exists": True}}, {"$not": {"a": {"$gt": 1}}}]),
        "since": st.sampled_from([0, 2]),
        "until": st.sampled_from([1, 3]),
        "app": st.sampled_from(["one", "two"]),
        "as_of": st.sampled_from(TIMES),
    },
)


@settings(max_examples=100)
@given(
    stored=st.lists(memories, max_size=6),
    chosen=selections,
    order=st.sampled_from(["newest", "oldest", "updated"]),
    size=st.integers(1, 4),
)
def test_all_verbs_select_alike(
    memory: Memory, stored: list[Any], chosen: dict[str, Any], order: Order, size: int
) -> None:
    user = new_user()
    records = [memory.add(**each, user_id=user) for each in stored]
    if len(records) > 1:
        records[0] = memory.update(records[0].id, content="tea, too")
    for bound in ("since", "until"):
        if bound in chosen:
            number = chosen[bound]
            chosen[bound] = records[number].created_at if number < len(records) else NOW
    selection = Count(user_id=user, **chosen).selection(UNRESTRICTED)
    matching = [record for record in records if selection.matches(record, datetime.now(UTC))]
    ids = {record.id for record in matching}
    assert memory.count(user, **chosen) == len(matching)
    listed = list(memory.iterate(user, order=order, **chosen))
    assert listed == sorted(matching, key=lambda record: Position.of(record, order), reverse=order != "oldest")
    pages, cursor = [], None
    while True:
        page = memory.list(user, order=order, limit=size, cursor=cursor, **chosen)
        pages += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert pages == listed
    searched = List(user_id=user, **chosen).selection(UNRESTRICTED)
    searched = replace(searched, only_valid=True, only_indexed=True)
    found = {hit.memory.id for hit in memory.search("tea", user, limit=10, **chosen)}
    assert found == {record.id for record in records if searched.matches(record, datetime.now(UTC))}
    if "scope" not in chosen:
        block = memory.context("tea", user, token_budget=10_000, **chosen)
        assert {citation.memory_id for citation in block.citations} <= found
    counted: dict[str | None, int] = {}
    for record in matching:
        counted[record.scope] = counted.get(record.scope, 0) + 1
    assert {facet.value: facet.count for facet in memory.facets(user, by="scope", **chosen)} == counted
    if chosen:
        assert memory.delete_many(user, dry_run=True, **chosen) == len(matching)
        assert memory.delete_many(user, **chosen) == len(matching)
        assert {record.id for record in memory.iterate(user)} == {record.id for record in records} - ids
