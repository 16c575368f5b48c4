"""The archive of one's data from ChatGPT."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from openmem import InvalidRequestError
from openmem.transfer.readers.chatgpt import READER

from .reading import losses, lost, problems, read, records, zipped


def node(id: str, parent: str | None, role: str = "user", text: str = "", **fields: object) -> dict[str, Any]:
    message = {
        "id": f"msg-{id}", "author": {"role": role}, "create_time": 1750000000.5, "metadata": {"model": "x"},
        "content": {"content_type": "text", "parts": [text]},
    } | fields  # fmt: skip
    return {"id": id, "parent": parent, "message": message}


NODES = [
    {"id": "root", "parent": None, "message": None},
    node("1", "root", text="What can I eat?"),
    node("2", "1", "assistant", "Eggs."),
    node("3", "1", "assistant", "Beans.", create_time=None),
    node("4", "3", "tool", "searched"),
    node("5", "4", "user", content={"content_type": "multimodal_text", "parts": [{"asset": "img-1"}, "Look", None]}),
    node("6", "5", "user", content={"content_type": "user_editable_context", "user_profile": "Maya", "x": 1}),
]
CONVERSATION = {
    "id": "c-1", "title": "Dinner", "create_time": 1750000000.0, "mapping": {each["id"]: each for each in NODES},
    "current_node": "6",
}  # fmt: skip


def test_turns_are_those_that_were_shown() -> None:
    found = read(READER, zipped({"conversations-000.json": [CONVERSATION], "chat.html": "x"}), turns="true")
    asked, beans, look, profile = records(found)
    moment = datetime.fromtimestamp(1750000000.5, UTC)
    assert asked.fields == {
        "content": "What can I eat?",
        "scope": "chat/Dinner",
        "created_at": moment,
        "valid_from": moment,
        "x-chatgpt": {
            "author": {"role": "user"},
            "metadata": {"model": "x"},
            "content": {"content_type": "text"},
            "conversation": {"id": "c-1", "title": "Dinner", "create_time": 1750000000.0},
        },
    }
    assert (beans.fields["content"], beans.fields["created_at"]) == ("Beans.", moment), "after what was said before"
    assert "valid_from" not in beans.fields
    assert look.fields["x-chatgpt"]["content"]["parts"] == [{"asset": "img-1"}]
    assert profile.fields["content"] == "Maya"
    assert losses(found) == ["chatgpt.mapping"] * 2
    shown = [NODES[1], NODES[3], NODES[5], NODES[6]]
    assert lost([each["message"] for each in shown], records(found)) == []


@pytest.mark.parametrize("end", ["nowhere", None])
def test_a_bent_conversation_ends(end: str | None) -> None:
    circle = {"a": node("a", "b", text="one"), "b": node("b", "a", text="two"), "c": 7}
    for mapping in (circle, {"a": node("a", "gone", text="one")}):
        found = read(
            READER, zipped({"conversations.json": [{"mapping": mapping, "current_node": end or "a"}]}), turns="true"
        )
        assert "do not lead" in problems(found)[0].reason or records(found) == []
    found = read(READER, zipped({"conversations.json": [{}, 7, CONVERSATION]}), turns="true")
    assert [problem.place.item for problem in problems(found)] == [1, 2]
    assert len(records(found)) == 4


def test_saved_memories() -> None:
    memories = [
        {"id": "a", "content": "Is vegan", "enabled": True, "created_at": 1750000000},
        {"id": "b", "content": "Eats fish", "enabled": False, "created_at": 1750000000, "updated_at": 1760000000},
    ]
    found = read(READER, zipped({"memory.json": memories, "conversations.json": [CONVERSATION]}))
    vegan, fish = records(found)
    assert "valid_to" not in vegan.fields
    assert fish.fields["valid_to"] == datetime.fromtimestamp(1760000000, UTC)
    assert losses(found) == ["chatgpt.conversations"]
    assert lost(memories, [vegan, fish]) == []


def test_an_archive_without_memories_says_where_they_are() -> None:
    with pytest.raises(InvalidRequestError, match="Manage memories"):
        read(READER, zipped({"conversations.json": []}))
    with pytest.raises(InvalidRequestError, match=r"conversations\.json"):
        read(READER, zipped({"user.json": {}}))
