"""Agent files of Letta, and pages of passages."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from openmem import InvalidRequestError, MemoryRecord
from openmem.providers.vendors.envelope import encode
from openmem.transfer.readers.letta import READER

from .reading import lines, losses, lost, only, problems, read, records

MESSAGES = [
    {"id": "message-0", "role": "system", "content": [{"type": "text", "text": "You are… <human>Maya"}]},
    {"id": "message-1", "role": "user", "content": [{"type": "text", "text": "What can I eat?"}],
     "created_at": "2025-10-10T07:14:33+00:00", "agent_id": "agent-0"},
    {"id": "message-2", "role": "assistant", "content": [{"type": "text", "text": "Beans."},
                 {"type": "image", "u": 1}]},
    {"id": "message-3", "role": "tool", "content": "OK"},
]  # fmt: skip
VERSION_2: dict[str, Any] = {
    "agents": [
        {"id": "agent-0", "name": "cook", "system": "You are…", "block_ids": ["block-0", "block-1"],
         "memory_blocks": [],
         "messages": MESSAGES, "in_context_message_ids": ["message-1"], "secrets": {"API_KEY": "sk-very-secret"},
         "tool_exec_environment_variables": {"TOKEN": "t0p-secret"}, "tags": []},
    ],
    "blocks": [
        {"id": "block-0", "label": "human", "value": "Maya is vegan", "limit": 5000, "description": "Who she is",
         "metadata": {"n": 1}, "read_only": False},
        {"id": "block-1", "label": "empty", "value": "  "},
        {"id": "block-2", "label": "shared", "value": "House rules"},
        7,
    ],
    "groups": [], "tools": [{"id": "tool-0", "source_code": "secret()"}],
    "metadata": {"revision_id": "0668"}, "created_at": "2025-10-10T07:14:33.457962+00:00",
}  # fmt: skip
VERSION_1: dict[str, Any] = {
    "agent_type": "memgpt_agent", "name": "cook", "version": "0.6.47", "created_at": "2025-04-01T03:47:19",
    "core_memory": [
        {"label": "human", "value": "Maya is vegan", "created_at": "2025-04-01T03:47:19", "limit": 5000,
         "updated_at": "2025-04-01T03:52:02.091007", "metadata_": {}, "is_template": False},
        "bent",
    ],
    "messages": MESSAGES,
    "tool_exec_environment_variables": [{"key": "TOKEN", "value": "t0p-secret"}],
}  # fmt: skip


@pytest.mark.parametrize("indent", [None, 2])
def test_blocks_of_version_2(indent: int | None) -> None:
    found = read(READER, json.dumps(VERSION_2, indent=indent))
    human, shared = records(found)
    assert human.source_id == "cook/block-0"
    assert human.fields == {
        "content": "Maya is vegan",
        "scope": "agents/cook/human",
        "metadata": {"n": 1},
        "created_at": datetime(2025, 10, 10, 7, 14, 33, 457962, UTC),
        "x-letta": {
            "label": "human",
            "limit": 5000,
            "description": "Who she is",
            "read_only": False,
            "agents": ["cook"],
        },
    }
    assert shared.fields["scope"] == "blocks/shared"
    assert len(problems(found)) == 1
    assert set(losses(found)) == {
        "letta.blocks", "letta.messages", "letta.secrets", "letta.tool_exec_environment_variables", "letta.system",
        "letta.tools",
    }  # fmt: skip
    assert lost(VERSION_2["blocks"][0], [human]) == []


def test_blocks_of_version_1() -> None:
    found = read(READER, VERSION_1)
    [human] = records(found)
    assert human.fields["scope"] == "agents/cook/human"
    assert human.fields["updated_at"] == datetime(2025, 4, 1, 3, 52, 2, 91007, UTC)
    assert human.fields["x-letta"]["updated_at"] == "2025-04-01T03:52:02.091007", "which has no offset"
    assert [str(problem.place) for problem in problems(found)] == ["core_memory, item 2"]


@pytest.mark.parametrize("file", [VERSION_1, VERSION_2])
def test_messages_are_read_on_demand_and_secrets_never(file: dict[str, Any]) -> None:
    found = read(READER, file, turns="true")
    asked, beans = [record for record in records(found) if record.fields.get("scope") == "chat/cook"]
    assert asked.fields["valid_from"] == datetime(2025, 10, 10, 7, 14, 33, tzinfo=UTC)
    assert lost(MESSAGES[1:3], [asked, beans]) == []
    assert beans.fields["x-letta"]["content"][1] == {"type": "image", "u": 1}
    assert "secret" not in repr(found).replace("letta.secrets", "").replace("secrets are", "")


def test_passages() -> None:
    row = {
        "id": "passage-1", "text": "Maya is vegan", "embedding": [0.1, 0.2], "embedding_config": {"embedding_dim": 2},
        "tags": ["food"], "metadata": {"n": 1}, "created_at": "2025-06-01T00:00:00Z", "archive_id": "a",
        "file_id": None,
        "is_deleted": False,
    }  # fmt: skip
    deleted = row | {"id": "passage-2", "is_deleted": True, "updated_at": "2025-07-01T00:00:00Z"}
    for data in ([row, deleted], lines(row, deleted), {"passages": [row, deleted]}, lines([row, deleted])):
        first, second = records(read(READER, data))
        assert first.fields == {
            "content": "Maya is vegan",
            "tags": ["food"],
            "metadata": {"n": 1},
            "created_at": datetime(2025, 6, 1, tzinfo=UTC),
            "x-letta": {"archive_id": "a", "is_deleted": False},
        }
        assert second.fields["valid_to"] == datetime(2025, 7, 1, tzinfo=UTC)
        assert lost(row, [first]) == [0.1, 0.2, 2], "vectors are made anew"


def test_what_openmem_keeps_in_letta_is_whole() -> None:
    record = MemoryRecord(
        id="x", content="Maya", user_id="maya", created_at=datetime(2025, 1, 1, tzinfo=UTC), scope="a/b", key="k"
    )
    row = {"id": "passage-1", "text": "Maya", "tags": ["omp"], "metadata": encode(record), "created_at": "2026-01-01"}
    found = only(read(READER, [row]))
    assert found.user_id == "maya"
    assert found.fields == {"content": "Maya", "created_at": record.created_at, "scope": "a/b", "key": "k"}


def test_other_files_are_refused() -> None:
    others: list[Any] = [{"a": 1}, [], "[1]"]
    for data in others:
        with pytest.raises(InvalidRequestError, match="Letta"):
            read(READER, data)
