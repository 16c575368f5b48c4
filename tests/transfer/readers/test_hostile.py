"""Files that somebody bent, by chance or on purpose: what can be read is, and the rest are problems."""

from __future__ import annotations

import copy
import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmem import InvalidRequestError
from openmem.transfer.formats import format_names, reader_for
from openmem.transfer.records import Loss, Problem, SourceRecord

from . import (
    test_chatgpt,
    test_claude,
    test_graph,
    test_hindsight,
    test_langgraph,
    test_letta,
    test_mcp_memory,
    test_mem0,
    test_openmemory,
    test_pam,
    test_supermemory,
)
from .reading import lines, problems, read, records, zipped

Packed = Callable[[Any], bytes | str]


def as_document(value: Any) -> str:
    return json.dumps(value)


def in_archive(value: Any) -> bytes:
    return zipped(value)


def as_lines(value: Any) -> str:
    return lines(*value) if isinstance(value, list) else json.dumps(value)


SAMPLES: Final[list[tuple[str, Any, Packed, dict[str, str]]]] = [
    ("mcp-memory", [test_mcp_memory.MAYA, test_mcp_memory.WORKS], as_lines, {}),
    ("mem0", {"count": 2, "results": [test_mem0.OSS, test_mem0.PLATFORM]}, as_document, {}),
    ("mem0", [{"id": 1, "payload": {"data": "a", "user_id": "maya", "topic": "x"}}], as_lines, {"user_from": "run"}),
    ("mem0", [{"id": "h", "memory_id": "m", "event": "ADD", "new_memory": "x", "updated_at": "2025-01-01"}] * 2,
     as_document, {}),
    ("openmemory", {"memories.json": test_openmemory.TABLES}, in_archive, {}),
    ("claude", {"memories.json": test_claude.MEMORIES, "projects.json": test_claude.PROJECTS,
                "conversations.json": test_claude.CONVERSATIONS}, in_archive, {"turns": "true"}),
    ("chatgpt", {"memory.json": [{"id": "a", "content": "x", "enabled": False}],
                 "conversations.json": [test_chatgpt.CONVERSATION]}, in_archive, {"turns": "true"}),
    ("letta", test_letta.VERSION_2, as_document, {"turns": "true"}),
    ("letta", test_letta.VERSION_1, as_document, {"turns": "true"}),
    ("letta", [{"id": "p", "text": "x", "metadata": {"omp": '{"user_id": "maya", "created_at": "2025-01-01"}'}}],
     as_lines, {}),
    ("langgraph", {"items": [test_langgraph.ROW]}, as_document, {"user_part": "2"}),
    ("supermemory", {"memoryEntries": [test_supermemory.LISBON, test_supermemory.PORTO]}, as_document, {}),
    ("zep", {"edges": [test_graph.EDGE]}, as_document, {}),
    ("graphiti", [test_graph.EDGE, {"uuid": "n", "name": "Maya", "summary": "x"}], as_lines, {}),
    ("hindsight", {"manifest.json": test_hindsight.MANIFEST, "documents/000000.json": test_hindsight.DOCUMENT,
                   "observations.json": [test_hindsight.OBSERVATION]}, in_archive, {}),
    ("pam", test_pam.document(test_pam.memory("m1", "x"),
                              test_pam.memory("m2", "y", metadata={"openmem": {"key": "k"}}),
                              relations=[{"id": "r", "from": "m1", "to": "m2", "type": "supersedes"}]),
     as_document, {}),
]  # fmt: skip
"""Of each format what a file holds, how it becomes bytes, and options that reach all of the reader."""

SCALARS: Final = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
    | st.sampled_from(["", " ", "\0", "\ud800", "9999-12-31T23:59:59-23:59", "0000-01-01", 1e300, 10**400, "x" * 600,
                       "../..", "a/*//b", 253402300800, -1, "m1", "NaN"])
)  # fmt: skip
JUNK: Final = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
CHANGES: Final = st.lists(
    st.tuples(st.integers(0, 10_000), st.sampled_from(["put", "drop", "twice"]), JUNK), max_size=6
)


def test_there_is_a_sample_of_every_format() -> None:
    assert {name for name, _, _, _ in SAMPLES} | {"markdown", "text", "omp"} == set(format_names())


@pytest.mark.parametrize(("name", "sample", "packed", "options"), SAMPLES)
@settings(max_examples=25)
@given(changes=CHANGES)
def test_nothing_is_raised_but_that_it_is_another_format(
    name: str, sample: Any, packed: Packed, options: dict[str, str], changes: list[tuple[int, str, Any]]
) -> None:
    bent = copy.deepcopy(sample)
    for change in changes:
        bend(bent, *change)
    try:
        found = read(reader_for(name), packed(bent), **options)
    except InvalidRequestError:
        return
    for item in found:
        assert isinstance(item, SourceRecord | Problem | Loss)
        assert not isinstance(item, SourceRecord) or item.fields["content"].strip()


@given(text=st.text(st.sampled_from("a-#*[]:\"'|>`\n \t\\{}&!0.\u2022"), max_size=80), front=st.booleans())
def test_any_text_is_markdown(text: str, front: bool) -> None:
    data = f"---\n{text}" if front else text
    for name in ("markdown", "text"):
        found = read(reader_for(name), data)
        assert all(isinstance(item, SourceRecord | Problem) for item in found)


def bend(value: Any, where: int, how: str, junk: Any) -> None:
    """Put something else into one place of a document."""
    places = [*_places(value)]
    if not places:
        return
    container, key = places[where % len(places)]
    if how == "put":
        container[key] = junk
    elif how == "drop":
        del container[key]
    elif isinstance(container, list):
        container.append(copy.deepcopy(container[key]))
    else:
        container[str(junk)[:20]] = copy.deepcopy(container[key])


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Each member and item, with what it is in."""
    found: list[tuple[Any, Any]] = []
    for key in [*value] if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        found += [(value, key), *_places(value[key])]
    return found


ROWS: Final = ("mcp-memory", "mem0", "langgraph", "supermemory", "zep", "letta")


@pytest.mark.parametrize("name", ROWS)
def test_one_bad_line_does_not_stop_the_others(name: str) -> None:
    sample = next(value for format, value, _, _ in SAMPLES if format == name)
    row = {
        "mem0": test_mem0.OSS, "letta": {"id": "p", "text": "x"}, "langgraph": test_langgraph.ROW,
        "supermemory": test_supermemory.PORTO, "zep": test_graph.EDGE,
    }.get(name) or sample[0]  # fmt: skip
    bad = [
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a": 1, "a": 2}',
        b'{"n": NaN}',
        b"{" + b'"a":' * 9,
        b'"' + b"x" * (17 << 20),
    ]
    good = json.dumps(row).encode()
    found = read(reader_for(name), b"\n".join([good, *bad, good]))
    assert [problem.place.line for problem in problems(found)] == [2, 3, 4, 5, 6, 7]
    assert len(records(found)) in (2, 4)


ARCHIVES: Final = {
    "openmemory": "memories.json", "claude": "memories.json", "chatgpt": "memory.json", "hindsight": "manifest.json",
}  # fmt: skip


@pytest.mark.parametrize(("name", "part"), ARCHIVES.items())
def test_archives_that_are_traps(name: str, part: str) -> None:
    reader = reader_for(name)
    for path in ("../memories.json", "/etc/passwd", "a/../../b.json"):
        with pytest.raises(InvalidRequestError, match="leads out"):
            read(reader, zipped({path: [], part: []}))
    whole = zipped({part: next(value for format, value, _, _ in SAMPLES if format == name)[part]})
    for cut in (0, 10, len(whole) // 2, len(whole) - 5):
        with pytest.raises(InvalidRequestError):
            read(reader, whole[:cut])


@pytest.mark.parametrize(("name", "part"), [("chatgpt", "memory.json"), ("hindsight", "manifest.json")])
def test_a_bomb_does_not_fill_the_memory(name: str, part: str) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(part, "w") as member:
        for _ in range(70):
            member.write(b" " * (1 << 20))
    assert len(bomb.getvalue()) < 100_000
    tracemalloc.start()
    with suppress(InvalidRequestError):
        assert records(read(reader_for(name), bomb.getvalue())) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300 << 20


def test_deep_documents_are_refused() -> None:
    deep = '{"results": ' + '[{"memory": ' * 50_000
    with pytest.raises(InvalidRequestError):
        read(reader_for("mem0"), deep)
    for name in ("pam", "letta"):
        with pytest.raises(InvalidRequestError):
            read(reader_for(name), '{"a": ' * 100_000)
    [problem] = read(reader_for("langgraph"), '{"a": ' * 100_000)
    assert isinstance(problem, Problem)


def test_memories_of_other_users_do_not_become_superseded() -> None:
    mine = test_supermemory.LISBON | {"spaceContainerTag": "maya"}
    theirs = test_supermemory.PORTO | {"spaceContainerTag": "eve"}
    first, second = records(read(reader_for("supermemory"), [theirs, mine]))
    assert (first.user_id, second.user_id) == ("eve", "maya")
    assert second.fields["supersedes"] == ["m1"], "who may name whom is for the import to say"
