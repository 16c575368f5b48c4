"""The archive of one's data from Claude."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from openmem import InvalidRequestError
from openmem.transfer.readers.claude import READER

from .reading import losses, lost, problems, read, records, zipped

MEMORIES: list[Any] = [
    {
        "conversations_memory": "**Work**\n\nMaya runs a bakery.\n\n## Diet\n- is vegan\n- [2025-06-01] no nuts",
        "project_memories": {"p-1": "Ships on Fridays.", "p-2": 7},
        "account_uuid": "acc-1",
    }
]
PROJECTS = [{"uuid": "p-1", "name": "Shop / web", "description": "The shop", "docs": [{"content": "long"}]}]
CONVERSATIONS: list[Any] = [
    {
        "uuid": "c-1", "name": "Dinner", "summary": "About dinner", "created_at": "2025-06-01T10:00:00.000000Z",
        "account": {"uuid": "acc-1"},
        "chat_messages": [
            {"uuid": "m-1", "sender": "human", "text": "What can I eat?", "created_at": "2025-06-01T10:00:01Z",
             "content": [{"type": "text", "text": "What can I eat?"}], "attachments": []},
            {"uuid": "m-2", "sender": "assistant", "text": "", "created_at": "2025-06-01T10:00:02Z",
             "content": [{"type": "text", "text": "Beans.", "citations": ["x"]}]},
            {"uuid": "m-3", "sender": "human", "text": "", "content": []},
        ],
    }
]  # fmt: skip


def test_memories_are_taken_apart_and_nothing_of_them_is_kept_twice() -> None:
    data = zipped({"memories.json": MEMORIES, "projects.json": PROJECTS, "conversations.json": CONVERSATIONS})
    found = read(READER, data)
    work, vegan, nuts, ships = records(found)
    assert work.fields["content"] == "**Work**\n\nMaya runs a bakery."
    assert (work.user_id, work.fields["x-claude"]) == (None, {"account_uuid": "acc-1"})
    assert (vegan.fields["content"], vegan.fields["tags"]) == ("is vegan", ["Diet"])
    assert nuts.fields["created_at"] == datetime(2025, 6, 1, tzinfo=UTC)
    assert ships.fields["scope"] == "projects/Shop - web"
    assert ships.fields["x-claude"]["project"] == {"uuid": "p-1", "name": "Shop / web", "description": "The shop"}
    assert [problem.field for problem in problems(found)] == ["project_memories"]
    assert losses(found) == ["claude.projects", "claude.conversations"]
    assert all("is vegan" not in str(record.fields) for record in (work, nuts, ships))


def test_what_was_said_is_read_on_demand() -> None:
    found = read(READER, zipped({"x/conversations.json": CONVERSATIONS}), turns="true")
    asked, answered = records(found)
    assert asked.source_id == "m-1"
    assert asked.fields == {
        "content": "What can I eat?",
        "scope": "chat/Dinner",
        "created_at": datetime(2025, 6, 1, 10, 0, 1, tzinfo=UTC),
        "valid_from": datetime(2025, 6, 1, 10, 0, 1, tzinfo=UTC),
        "x-claude": {
            "sender": "human",
            "attachments": [],
            "conversation": {
                "uuid": "c-1",
                "name": "Dinner",
                "created_at": "2025-06-01T10:00:00.000000Z",
                "account": {"uuid": "acc-1"},
                "summary": "About dinner",
            },
        },
    }
    assert answered.fields["content"] == "Beans."
    assert [problem.source_id for problem in problems(found)] == ["m-3"]
    assert lost(CONVERSATIONS[0], records(found)) == ["m-3"]


def test_other_archives_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match="Claude"):
        read(READER, zipped({"users.json": []}))
    with pytest.raises(InvalidRequestError, match="turns"):
        read(READER, zipped({"memories.json": []}), turns="yes")
