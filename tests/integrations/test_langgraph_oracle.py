"""`OpenmemStore` against LangGraph's `InMemoryStore`: the same random operations, the same answers."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

pytest.importorskip("langgraph")

from langgraph.store.base import GetOp, Item, ListNamespacesOp, MatchCondition, Op, PutOp, SearchOp
from langgraph.store.memory import InMemoryStore

from openmem.integrations import MemoryClients
from openmem.integrations.langgraph import OpenmemStore
from openmem.integrations.langgraph.names import namespace_of, scope_of
from openmem.integrations.segments import decoded, encoded

MOST = 1000
MORE = int(os.environ.get("OPENMEM_TEST_MORE", "1"))
PHASES = (Phase.explicit, Phase.generate)
"""Shrinking runs of many operations would take minutes."""

hostile = st.sampled_from(
    [
        "a",
        "A",
        "b",
        "%",
        "%2F",
        "a/b",
        "*",
        "**",
        "/",
        " ",
        "\n",
        "a b",
        "_",
        "日本",
        "é",
        "e\u0301",
        "\U0001f600",
        "langgrapH",
    ]
)
labels = hostile | st.text(st.characters(codec="utf-8", exclude_characters=".\0"), min_size=1, max_size=4)
namespaces = st.lists(labels, min_size=1, max_size=3).map(tuple).filter(lambda found: found[0] != "langgraph")
keys = hostile | st.sampled_from(["", ".", "\0", "..", "k"]) | st.text(max_size=4)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
numbers = st.integers(-20, 20) | st.sampled_from([9, 10, 9.5, 1e23, 10**20, -0.5])
scalars = texts | numbers | st.none()
names = st.sampled_from(["text", "a.b", "$x", "back\\slash", "ü", "'; DROP"])
values = st.builds(
    lambda n, rest, nested, several: {"n": n, **rest, "nested": nested, "several": several},
    numbers,
    st.dictionaries(names, scalars, max_size=3),
    st.dictionaries(st.sampled_from(["a", "b.c"]), numbers | texts, max_size=2),
    st.lists(numbers | texts, max_size=2),
)
filters = st.none() | st.one_of(
    st.builds(
        lambda operator, n: {"n": {operator: n}}, st.sampled_from(["$gt", "$gte", "$lt", "$lte", "$ne", "$eq"]), numbers
    ),
    st.builds(lambda low, high: {"n": {"$gte": low, "$lt": high}}, numbers, numbers),
    st.dictionaries(names, scalars, min_size=1, max_size=2),
    st.builds(lambda name, value: {name: {"$ne": value}}, names, scalars),
    st.builds(lambda name, value: {"nested": {name: value}}, st.sampled_from(["a", "b.c"]), numbers | texts),
    st.builds(lambda several: {"several": several}, st.lists(numbers | texts, max_size=2)),
)
conditions = st.builds(
    MatchCondition,
    st.sampled_from(["prefix", "suffix"]),
    st.lists(labels | st.just("*"), min_size=1, max_size=3).map(tuple),
)


def begins_with(path: tuple[str, ...]) -> MatchCondition:
    return MatchCondition("prefix", path)


@st.composite
def runs(draw: st.DrawFn) -> list[list[Op]]:
    """Batches of operations on few namespaces, so that they meet."""
    known = draw(st.lists(namespaces, min_size=1, max_size=4))
    few_keys = draw(st.lists(keys, min_size=1, max_size=3))
    namespace, key = st.sampled_from(known), st.sampled_from(few_keys)
    prefix = namespace.flatmap(lambda found: st.integers(0, len(found)).map(lambda size: found[:size]))
    put, paths = st.tuples(namespace, key, values), st.sampled_from([None, False, ["text", "several[*]"]])
    op = st.one_of(
        st.builds(lambda put, index: PutOp(put[0], put[1], put[2], index), put, paths),
        put.map(lambda put: PutOp(*put)),
        st.tuples(namespace, key).map(lambda name: PutOp(*name, None)),
        st.tuples(namespace, key).map(lambda name: GetOp(*name)),
        st.tuples(prefix, filters, st.none() | texts).map(
            lambda asked: SearchOp(asked[0], asked[1], MOST, 0, asked[2])
        ),
        st.tuples(
            st.none() | st.lists(conditions, max_size=2).map(tuple) | prefix.map(lambda path: (begins_with(path),)),
            st.none() | st.integers(1, 3),
            st.sampled_from([100, 2]),
            st.sampled_from([0, 1]),
        ).map(lambda asked: ListNamespacesOp(*asked)),
    )
    return draw(st.lists(st.lists(op, min_size=1, max_size=4), min_size=8, max_size=14))


class Oracle(InMemoryStore):
    """LangGraph's own store, but for namespaces that were only read, or that are empty again: it would list them."""

    def _handle_list_namespaces(self, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        for namespace in [namespace for namespace, items in self._data.items() if not items]:
            del self._data[namespace]
        return super()._handle_list_namespaces(op)


def plain(result: Any) -> Any:
    """A result without times, scores and the order of a search."""
    if isinstance(result, Item):
        return result.namespace, result.key, result.value
    if isinstance(result, list) and result and isinstance(result[0], Item):
        return sorted(map(plain, result), key=lambda item: (item[0], item[1]))
    return result


def check(store: OpenmemStore, batches: list[list[Op]]) -> None:
    oracle = Oracle()
    for number, batch in enumerate(batches):
        wanted = oracle.batch(batch)
        found = asyncio.run(store.abatch(batch)) if number % 2 else store.batch(batch)
        assert list(map(plain, found)) == list(map(plain, wanted)), batch


@pytest.fixture(scope="module")
def in_memory() -> Iterator[MemoryClients]:
    with MemoryClients("memory") as clients:
        yield clients


@pytest.fixture(scope="module")
def on_postgres(url: str) -> Iterator[MemoryClients]:
    with MemoryClients(url=url, embedder="hashing") as clients:
        yield clients


@given(runs())
@settings(max_examples=12 * MORE, phases=PHASES)
def test_the_same_operations_have_the_same_results(in_memory: MemoryClients, batches: list[list[Op]]) -> None:
    check(OpenmemStore(in_memory, scope=uuid.uuid4().hex), batches)


@given(runs())
@settings(max_examples=6 * MORE, phases=PHASES)
def test_the_same_operations_have_the_same_results_on_postgres(
    on_postgres: MemoryClients, batches: list[list[Op]]
) -> None:
    check(OpenmemStore(on_postgres, scope=uuid.uuid4().hex), batches)


@given(namespaces, keys)
@settings(max_examples=60 * MORE)
def test_names_go_there_and_back(namespace: tuple[str, ...], key: str) -> None:
    assert decoded(encoded(key)) == key
    assert namespace_of("root/of", scope_of("root/of", namespace)) == namespace


@given(st.text(st.characters()), st.text(st.characters()))
@settings(max_examples=60 * MORE)
def test_no_two_texts_have_one_name(one: str, other: str) -> None:
    assert (encoded(one) == encoded(other)) == (one == other)
