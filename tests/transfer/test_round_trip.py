"""What is exported and imported into an empty store is exported again byte for byte, but for the first line."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from openmem import Memory, transfer

from ..properties.strategies import confidences, documents, names, new_user, scopes, tags, texts

moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.timezones())
memories = st.fixed_dictionaries(
    {"content": texts},
    optional={
        "scope": scopes,
        "tags": tags,
        "confidence": confidences,
        "source": st.fixed_dictionaries({"app": names, "type": st.sampled_from(["explicit", "imported"])}),
        "valid_from": moments,
        "metadata": st.dictionaries(names, documents, max_size=3).filter(lambda value: len(repr(value)) < 4000),
        "x-any": documents,
        "x-big": st.sampled_from([1e23, -1e-7, 2**63, 0.1, {"a": [1e23]}]),
        "indexed": st.booleans(),
    },
)


def lines(memory: Memory, user: str) -> list[bytes]:
    """The lines of an export, but for the first."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "memories.omp.jsonl")
        transfer.export(memory, path, transfer.Choice(users=[user]))
        return path.read_bytes().split(b"\n")[1:]


def moved(source: Memory, target: Memory, user: str) -> transfer.ImportReport:
    return transfer.migrate(source, target, transfer.Choice(users=[user]))[1]


@settings(max_examples=15, phases=[Phase.generate])
@given(
    drafts=st.lists(memories, min_size=1, max_size=6), chains=st.lists(st.integers(0, 5), max_size=4), data=st.data()
)
def test_a_store_comes_back_byte_for_byte(
    store: Memory, other: Memory, drafts: list[dict[str, Any]], chains: list[int], data: st.DataObject
) -> None:
    user = new_user()
    ids = [store.add(user_id=user, **draft).id for draft in drafts]
    for number, index in enumerate(chains):
        replaced = ids[index % len(ids)]
        ids.append(store.add(content=f"instead {number}", user_id=user, supersedes=[replaced], supersede_ended=True).id)
    changed = data.draw(st.sampled_from(ids))
    store.update(changed, confidence=0.5)
    store.put(content="kept by key", user_id=user, key="k", scope="a/b")
    store.put(content="kept by key, changed", user_id=user, key="k", scope="a/b", keep_history=True)
    store.add(content="until then", user_id=user, expires_at=datetime.now().astimezone() + timedelta(days=9))
    report = moved(store, other, user)
    assert report.is_complete
    assert report.losses == {}
    assert lines(other, user) == lines(store, user)
    again = moved(store, other, user)
    assert (again.written, again.equal, again.read) == (0, report.read, report.read)


def test_the_lines_are_the_same_whatever_backend_they_are_from(store: Memory) -> None:
    user = new_user()
    others: dict[str, Any] = {"x-b": 1, "x-a": 2}
    store.add(content="tea", user_id=user, key="k", metadata={"a": 1}, source={"app": "notes"}, **others)
    with Memory("memory", embedder="hashing") as target:
        moved(store, target, user)
        assert lines(target, user) == lines(store, user)


def test_a_field_of_a_newer_protocol_is_kept_and_told(store: Memory, other: Memory, tmp_path: Path) -> None:
    user = new_user()
    store.add(content="tea", user_id=user)
    path = tmp_path / "memories.omp.jsonl"
    transfer.export(store, path, transfer.Choice(users=[user]))
    newer = path.read_text().replace('"version":1,"indexed"', '"version":1,"mood":{"calm":true},"indexed"')
    path.write_text(newer)
    report = transfer.import_(other, "omp", path)
    assert report.lost() == {"mood": 1}
    [record] = other.list(user)
    assert record.extensions["x-omp-import"]["record"] == {"mood": {"calm": True}}
    assert transfer.import_(other, "omp", path).equal == 1
