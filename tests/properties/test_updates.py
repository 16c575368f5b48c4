"""Any sequence of updates does to a memory what it does to a dictionary."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from openmem import Memory, MemoryRecord

from .strategies import confidences, new_user, scopes, tags, texts

NULLABLE: dict[str, st.SearchStrategy[Any]] = {
    "scope": st.none() | scopes,
    "tags": st.none() | tags,
    "confidence": st.none() | confidences,
    "valid_to": st.none() | st.datetimes(datetime(2000, 1, 1), timezones=st.just(UTC)),
}
CHANGES = st.fixed_dictionaries(
    {}, optional={"content": texts, "supersedes": st.lists(st.sampled_from("abc"), max_size=3, unique=True), **NULLABLE}
)


def fields(record: MemoryRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in ("content", "source", "extensions", "user_id", *NULLABLE)}


@given(
    start=st.fixed_dictionaries({"content": texts}, optional=NULLABLE),
    changes=st.lists(CHANGES.filter(bool), max_size=5),
)
def test_updates_follow_a_dictionary(memory: Memory, start: dict[str, Any], changes: list[dict[str, Any]]) -> None:
    user = new_user()
    others = {name: memory.add(content=f"other {name}", user_id=user).id for name in "abc"}
    extensions: dict[str, Any] = {"x-a": 1}
    record = memory.add(user_id=user, source={"app": "a"}, **start, **extensions)
    model = fields(record)
    supersedes: list[str] = []
    for change in changes:
        arguments = dict(change)
        if "supersedes" in change:
            arguments["supersedes"] = [others[name] for name in change["supersedes"]]
            supersedes += [id for id in arguments["supersedes"] if id not in supersedes]
        record = memory.update(record.id, **arguments)
        model |= {name: value for name, value in change.items() if name in model}
        assert fields(record) == model
        assert (record.supersedes or []) == supersedes
        assert memory.get(record.id) == record
    for id in others.values():
        assert (memory.get(id).valid_to is not None) is (id in supersedes)
