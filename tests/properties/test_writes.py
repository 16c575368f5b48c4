"""Any sequence of writes does the same in PostgreSQL and in the provider `memory`, errors included."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from openmem import Memory, MemoryRecord, OMPError

from .strategies import new_user

PAST: Final = datetime(2024, 1, 1, tzinfo=UTC)
COMING: Final = datetime(2999, 1, 1, tzinfo=UTC)
GIVEN: Final = frozenset({2019, 2020, 2021, 2030})
"""The years of the ends that are given. All others are the moment of a write."""

keys = st.sampled_from(["k", "l"])
contents = st.sampled_from(["tea", "milk"])
numbers = st.integers(0, 8)
"""Which of the memories so far is meant; none, if there are fewer."""
fields = {
    "tags": st.sampled_from([["a"], None]),
    "valid_from": st.sampled_from(["2020-01-01", "2021-01-01T00:00:00+05:00", None]),
    "valid_to": st.sampled_from(["2019-01-01", "2021-06-01", "2030-01-01"]),
    "metadata": st.sampled_from([{"a": 1e23}, {"b": [1.5, "x"]}, None]),
    "expires_at": st.sampled_from([PAST, COMING, None]),
    "scope": st.sampled_from(["a", None]),
    "supersedes": numbers,
    "supersede_ended": st.booleans(),
}
new = fields | {"indexed": st.sampled_from([True, True, False])}
versions = st.integers(1, 4)


def verb(
    name: str, required: dict[str, Any], optional: dict[str, Any]
) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """A call of a verb: its name and its arguments."""
    return st.tuples(
        st.just(name),
        st.fixed_dictionaries(
            required, optional={key: value for key, value in optional.items() if key not in required}
        ),
    )


CALLS = st.one_of(
    verb("add", {"content": contents}, new | {"key": keys}),
    verb(
        "put",
        {"key": keys, "content": contents},
        new | {"if_version": st.integers(0, 4), "keep_history": st.booleans()},
    ),
    verb("update", {"id": numbers, "tags": fields["tags"]}, fields | {"content": contents, "if_version": versions}),
    verb("delete", {"id": numbers}, {"if_version": versions}),
    verb("get", {"id": numbers}, {}),
    verb("get_by_key", {"key": keys}, {"scope": fields["scope"]}),
)


class Side:
    """One provider, and the ids of its memories in the order in which they were first seen."""

    def __init__(self, memory: Memory, user: str) -> None:
        self._memory = memory
        self._user = user
        self._ids: list[str] = []

    def perform(self, name: str, arguments: dict[str, Any]) -> Any:
        """What a verb returns, or its error, without what differs from one provider to another."""
        given = dict(arguments)
        if name in {"add", "put", "get_by_key"}:
            given["user_id"] = self._user
        if "id" in given:
            given["id"] = self._id(given["id"])
        if "supersedes" in given:
            given["supersedes"] = [self._id(given["supersedes"])]
        try:
            return self._shown(getattr(self._memory, name)(**given))
        except OMPError as error:
            return type(error), re.sub(r"mem_\w{18}", lambda id: str(self._number(id[0])), error.message)

    def stored(self) -> list[Any]:
        """All memories, in the order of their ids."""
        records = self._memory.list(self._user, limit=500).items
        return [self._shown(record) for record in sorted(records, key=lambda record: self._number(record.id))]

    def _id(self, number: int) -> str:
        return self._ids[number] if number < len(self._ids) else "mem_unknown"

    def _number(self, id: str) -> int:
        return self._ids.index(id) if id in self._ids else -1

    def _shown(self, record: MemoryRecord | None) -> Any:
        if record is None:
            return None
        if record.id not in self._ids:
            self._ids.append(record.id)
        fields = record.model_dump()
        fields["id"] = self._number(record.id)
        fields["supersedes"] = record.supersedes and [self._number(id) for id in record.supersedes]
        fields["created_at"], fields["updated_at"] = None, record.updated_at is not None
        if record.valid_to is not None and record.valid_to.year not in GIVEN:
            fields["valid_to"] = "when it was superseded"
        return fields


@settings(max_examples=100)
@given(calls=st.lists(CALLS, min_size=5, max_size=25))
def test_writes_do_the_same_in_both(memory: Memory, calls: list[tuple[str, dict[str, Any]]]) -> None:
    user = new_user()
    with Memory(provider="memory") as reference:
        sides = [Side(memory, user), Side(reference, user)]
        for name, arguments in calls:
            answers = [side.perform(name, arguments) for side in sides]
            assert answers[0] == answers[1]
            stored = [side.stored() for side in sides]
            assert stored[0] == stored[1]
