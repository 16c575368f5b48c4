"""Whatever fields an object has, and of whatever type: each leaf of it is somewhere in the record."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmem.transfer.formats import reader_for
from openmem.transfer.records import SourceRecord

from ...properties.strategies import ALPHABET
from . import (
    test_chatgpt,
    test_claude,
    test_graph,
    test_hindsight,
    test_langgraph,
    test_mcp_memory,
    test_mem0,
    test_openmemory,
    test_pam,
    test_supermemory,
)
from .reading import as_bytes, lost, read, zipped

OBJECTS: Final[dict[str, dict[str, Any]]] = {
    "mcp-memory": test_mcp_memory.WORKS,
    "mem0": test_mem0.PLATFORM,
    "openmemory": test_openmemory.memory("1", "archived"),
    "claude": test_claude.CONVERSATIONS[0]["chat_messages"][1],
    "chatgpt": test_chatgpt.NODES[1]["message"],
    "letta": {"id": "p", "text": "Maya", "tags": ["a"], "metadata": {"n": 1}, "created_at": "2025-06-01T00:00:00Z"},
    "langgraph": test_langgraph.ROW,
    "supermemory": test_supermemory.LISBON,
    "zep": test_graph.EDGE,
    "graphiti": test_graph.EDGE,
    "hindsight": test_hindsight.FACT,
    "pam": test_pam.memory("m1", "Maya"),
}
"""Of each format an object that becomes one memory."""

LEFT_OUT: Final = {
    "mem0": {"text_lemmatized", "score", "score_breakdown", "source_payload"},
    "openmemory": {"user_id"},
    "letta": {"embedding", "embedding_config"},
    "zep": {"fact_embedding", "name_embedding", "embedding", "score"},
    "graphiti": {"fact_embedding", "name_embedding", "embedding", "score"},
    "pam": {"content_hash", "status"},
}
"""What is computed again, or said by the rest of the file; see the documentation."""

VALUES: Final = st.recursive(
    st.booleans()
    | st.integers(2, 9**9) | st.floats(2, 1e9) | st.text(ALPHABET, min_size=1, max_size=600)
    | st.sampled_from(["2025-01-02", "2025-01-02T03:04:05", "2025-01-02T03:04:05.123+02:00",
                       "9999-12-31T23:59:59-10:00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(ALPHABET, max_size=8), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


OF_TEXTS = frozenset({"text", "content", "memory", "fact", "value", "author"})


def packed(name: str, row: dict[str, Any]) -> bytes:
    """A file that has the object."""
    match name:
        case "openmemory":
            return zipped({"memories.json": {"user": {"user_id": "maya"}, "memories": [row]}})
        case "claude":
            return zipped({"conversations.json": [{"uuid": "c", "chat_messages": [row]}]})
        case "chatgpt":
            node = {"id": "a", "parent": None, "message": row}
            return zipped({"conversations.json": [{"mapping": {"a": node}, "current_node": "a"}]})
        case "hindsight":
            files = {"manifest.json": test_hindsight.MANIFEST, "documents/0.json": {"id": "d", "facts": [row]}}
            return zipped(files)
        case "pam":
            return as_bytes(test_pam.document(row))
    return as_bytes([row])


@pytest.mark.parametrize("name", OBJECTS)
@settings(max_examples=25)
@given(data=st.data())
def test_each_leaf_is_in_the_record(name: str, data: st.DataObject) -> None:
    known = st.sampled_from(sorted(OBJECTS[name]))
    keys = (known | st.text(ALPHABET, min_size=1, max_size=8)).filter(lambda key: key not in OF_TEXTS)
    changes = data.draw(st.dictionaries(keys, VALUES, max_size=4))
    row = {key: value for key, value in (OBJECTS[name] | changes).items() if key not in LEFT_OUT.get(name, ())}
    options = {"claude": {"turns": "true"}, "chatgpt": {"turns": "true"}, "langgraph": {"user_part": "2"}}.get(name, {})
    found = [item for item in read(reader_for(name), packed(name, row), **options) if isinstance(item, SourceRecord)]
    assert len(found) <= 1
    if found:
        assert lost(json.loads(json.dumps(row)), found) == []
