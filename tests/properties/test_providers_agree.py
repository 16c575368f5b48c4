"""PostgreSQL does to memories what the provider `memory` does: the same results, errors and records at every step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmem import Memory, MemoryPage, MemoryRecord, OMPError, SearchResult
from openmem.providers.memory import MemoryStore

from .strategies import new_user

PAST: Final = datetime(2020, 1, 1, tzinfo=UTC)
LATER: Final = datetime(2021, 1, 1, tzinfo=UTC)
FUTURE: Final = datetime(2100, 1, 1, tzinfo=UTC)
GIVEN: Final = (PAST, LATER, FUTURE)
GRANTS: Final = ("read:a/**", "write:a/*", "write:a", "delete:a/b")
KEYS: Final = ("k", "l")

scopes = st.sampled_from([None, "a", "a/b", "c"])
times = st.sampled_from(GIVEN)
numbers = st.integers(0, 5)
values = st.sampled_from([1, 1.0, "1", None, [1]])
fields = {
    "scope": scopes,
    "tags": st.none() | st.lists(st.sampled_from("xyz"), max_size=3),
    "confidence": st.none() | st.just(0.5),
    "valid_from": st.none() | times,
    "valid_to": st.none() | times,
    "metadata": st.none() | st.dictionaries(st.sampled_from("nm"), values, max_size=2),
    "expires_at": st.none() | st.sampled_from([PAST, FUTURE]),
}  # fmt: skip
writes = {
    "supersedes": st.lists(numbers, max_size=2),
    "supersede_ended": st.booleans(),
}
new = {**fields, **writes, "indexed": st.booleans(), "source": st.sampled_from([{"app": "one"}, {"ref": "r"}])}
contents = st.sampled_from(["green tea", "black tea", "milk"])
added = st.fixed_dictionaries({"content": contents}, optional={**new, "key": st.sampled_from(KEYS)})
selectors = st.fixed_dictionaries(
    {},
    optional={
        "scope": st.sampled_from(["a/**", "a/*", "*", ["c", "a"], "a/b"]),
        "tags": st.lists(st.sampled_from("xyz"), max_size=2),
        "any_tags": st.lists(st.sampled_from("xyz"), max_size=2),
        "where": st.sampled_from([{"n": 1}, {"n": {"$exists": False}}, {"m": {"$ne": "1"}}, {"$not": {"n": 1}}]),
        "app": st.just("one"),
        "as_of": times,
    },
)
versions = st.none() | st.integers(1, 3)
steps = st.one_of(
    st.tuples(st.just("add"), added),
    st.tuples(st.just("add_many"), st.fixed_dictionaries({"records": st.lists(added, min_size=1, max_size=3)})),
    st.tuples(
        st.just("put"),
        st.fixed_dictionaries(
            {"content": contents, "key": st.sampled_from(KEYS)},
            optional={**new, "if_version": st.none() | st.integers(0, 3), "keep_history": st.booleans()},
        ),
    ),
    st.tuples(
        st.just("update"),
        st.fixed_dictionaries(
            {"id": numbers}, optional={**fields, **writes, "content": contents, "if_version": versions}
        ),
    ),
    st.tuples(st.just("delete"), st.fixed_dictionaries({"id": numbers}, optional={"if_version": versions})),
    st.tuples(
        st.just("delete_many"),
        selectors.flatmap(
            lambda filters: st.fixed_dictionaries(
                {name: st.just(value) for name, value in filters.items()},
                optional={
                    "ids": st.lists(numbers, max_size=3),
                    "keys": st.lists(st.sampled_from(KEYS), max_size=2),
                    "dry_run": st.booleans(),
                },
            )
        ),
    ),
    st.tuples(st.just("restore"), st.fixed_dictionaries({"records": st.lists(numbers, min_size=1, max_size=3)})),
    st.tuples(st.just("get_by_key"), st.fixed_dictionaries({"key": st.sampled_from(KEYS), "scope": scopes})),
    st.tuples(st.just("history"), st.fixed_dictionaries({"id": numbers})),
    st.tuples(st.just("count"), selectors),
    st.tuples(st.just("list"), selectors),
    st.tuples(
        st.just("facets"),
        selectors.flatmap(
            lambda filters: st.fixed_dictionaries(
                {name: st.just(value) for name, value in filters.items()}
                | {"by": st.sampled_from(["scope", "tag", "app", "metadata.n", "metadata.m"])}
            )
        ),
    ),
    st.tuples(st.just("search"), selectors.map(lambda filters: {"query": "green tea", "limit": 100, **filters})),
)  # fmt: skip


@dataclass
class Side:
    """One provider, and the memories that it made, in their order."""

    full: Memory
    limited: Memory
    user: str
    names: dict[str, str] = field(default_factory=dict)
    seen: dict[str, MemoryRecord] = field(default_factory=dict)

    def run(self, verb: str, arguments: dict[str, Any], is_limited: bool) -> Any:
        """The result of a step, or its error, in words that both sides share."""
        method = getattr(self.limited if is_limited else self.full, verb)
        given = {name: self._given(name, value) for name, value in arguments.items()}
        if verb not in ("add_many", "restore"):
            given["user_id"] = self.user
        try:
            result = self.shown(method(**given))
        except OMPError as error:
            return type(error).__name__, re.sub(r"mem_\w{18}", lambda id: self._name(id.group()), error.message)
        return result

    def _given(self, name: str, value: Any) -> Any:
        if name == "id":
            return self._id(value)
        if name in ("supersedes", "ids"):
            return [self._id(number) for number in value]
        if name == "records":
            return [self._record(one) for one in value]
        return value

    def _record(self, one: Any) -> Any:
        if isinstance(one, int):
            return self.seen.get(self._id(one)) or {"content": "x"}
        return {name: self._given(name, value) for name, value in one.items()} | {"user_id": self.user}

    def _id(self, number: int) -> str:
        ids = list(self.names)
        return ids[number] if number < len(ids) else "mem_unknown"

    def _name(self, id: str) -> str:
        return self.names.setdefault(id, f"m{len(self.names)}")

    def shown(self, result: Any) -> Any:
        """A result without what differs from run to run."""
        if isinstance(result, list) and result and isinstance(result[0], SearchResult):
            return sorted(self._name(hit.memory.id) for hit in result)
        if isinstance(result, list | MemoryPage):
            return [self.shown(one) for one in result]
        if isinstance(result, MemoryRecord):
            self.seen[result.id] = result
            return {
                **result.model_dump(),
                "id": self._name(result.id),
                "user_id": None,
                "created_at": None,
                "updated_at": result.updated_at is not None,
                "valid_to": result.valid_to if result.valid_to in GIVEN else result.valid_to is not None,
                "supersedes": result.supersedes and [self.names.get(id, id) for id in result.supersedes],
            }
        if hasattr(result, "newest"):
            return result.value, type(result.value) is bool, result.count
        return result


@pytest.fixture(scope="module")
def clients(url: str) -> Iterator[tuple[Memory, Memory, Memory, Memory]]:
    """Two of each provider: one without grants, and one with some."""
    kinds: list[dict[str, Any]] = [{"url": url, "embedder": "hashing"}, {"provider": "memory", "store": MemoryStore()}]
    with (
        Memory(**kinds[0]) as postgres,
        Memory(**kinds[0], grants=GRANTS) as limited_postgres,
        Memory(**kinds[1]) as memory,
        Memory(**kinds[1], grants=GRANTS) as limited_memory,
    ):
        yield postgres, limited_postgres, memory, limited_memory


@given(story=st.lists(st.tuples(steps, st.sampled_from([False, False, False, True])), min_size=4, max_size=15))
def test_both_providers_do_the_same(
    clients: tuple[Memory, Memory, Memory, Memory], story: list[tuple[tuple[str, dict[str, Any]], bool]]
) -> None:
    user = new_user()
    sides = [Side(*clients[:2], user), Side(*clients[2:], user)]
    for (verb, arguments), is_limited in story:
        postgres, memory = (side.run(verb, arguments, is_limited) for side in sides)
        if not (verb == "add_many" and isinstance(postgres, tuple) and isinstance(memory, tuple)):
            # Of several things that are wrong with a batch, any may be told.
            assert postgres == memory, (verb, arguments, is_limited)
        stored = [side.shown(side.full.list(user, order="oldest", limit=500)) for side in sides]
        assert stored[0] == stored[1], (verb, arguments, is_limited)
