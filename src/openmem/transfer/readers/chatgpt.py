"""The archive of one's own data from ChatGPT: conversations, and the saved memories where it has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from ...errors import InvalidRequestError
from ..formats import Options, Reader, flag
from ..records import Item, Loss, Place, Problem, SourceRecord
from ..sources import Source
from .archives import find, table
from .fields import Fields, record, scope_of, time_of

_FORMAT: Final = "chatgpt"
_CONVERSATIONS: Final = re.compile(r"(?:.*/)?conversations(?:-\d+)?\.json")

Row = dict[str, Any]


def read(source: Source, options: Options) -> Iterator[Item]:
    """The saved memories, and with the option ``turns`` what was said in conversations."""
    with_turns = flag(options, "turns")
    with source.archive() as archive:
        memories = next((name for name in ("memory.json", "memories.json") if find(archive, name)), None)
        conversations = sorted(filter(_CONVERSATIONS.fullmatch, archive.names))
        if memories is None and not conversations:
            raise InvalidRequestError(f"{source.name}: has no conversations.json: is no archive of data from ChatGPT")
        if memories is not None:
            for row in table(archive, str(find(archive, memories))):
                yield row if isinstance(row, Problem) else memory(*row)
        elif not with_turns:
            raise InvalidRequestError(
                f"{source.name}: has no file of saved memories, as most archives from ChatGPT. Copy the list under "
                "Settings, Personalization, Manage memories, and import it as format 'text'; or read the "
                "conversations with the option turns=true"
            )
        if not with_turns:
            yield Loss(f"{_FORMAT}.conversations", "conversations are read with the option turns=true")
            return
        for part in conversations:
            for row in table(archive, part):
                yield from [row] if isinstance(row, Problem) else turns(*row)


def memory(place: Place, row: Row) -> Item:
    """The record of one saved memory."""
    fields = Fields(row)
    created = fields.time("created_at", "create_time", "created_timestamp", "timestamp")
    updated = fields.time("updated_at", "update_time", "updated_timestamp", "last_updated")
    return record(
        _FORMAT,
        fields,
        place,
        fields.text("content", "memory", "text"),
        source_id=fields.name("id"),
        user_id=None,
        created_at=created,
        updated_at=updated,
        valid_to=(updated or created) if row.get("enabled") is False else None,
    )


def turns(place: Place, conversation: Row) -> Iterator[Item]:
    """What was said in one conversation, on the way to the message that was shown last; a memory for each message."""
    about = Fields(conversation)
    mapping = about.object("mapping")
    current = about.text("current_node")
    if not mapping:
        yield Problem("is a conversation without messages", place, field="mapping")
        return
    way, is_cut = _way(mapping, current)
    if is_cut:
        yield Problem("has messages that do not lead to the first one", place, field="mapping")
    said = time_of(about.left.get("create_time"))
    for node in way:
        message = node.get("message")
        if isinstance(message, dict):
            found = _message(place, message, about.left, said)
            yield found
            if isinstance(found, SourceRecord):
                said = found.fields.get("created_at", said)
    beside = len(mapping) - len(way)
    if beside > 0:
        yield Loss(f"{_FORMAT}.mapping", "messages that were edited or written anew, and are not shown", place)


def _way(mapping: Row, current: str | None) -> tuple[list[Row], bool]:
    """The nodes from the first to the one that was shown last, and whether one on the way is missing."""
    if current is None or current not in mapping:
        leaves = [id for id, node in mapping.items() if isinstance(node, dict) and not node.get("children")]
        current = leaves[-1] if leaves else None
    way: list[Row] = []
    seen: set[str] = set()
    while current is not None:
        node = mapping.get(current)
        if not isinstance(node, dict) or current in seen:
            return way[::-1], True
        seen.add(current)
        way.append(node)
        parent = node.get("parent")
        current = parent if isinstance(parent, str) else None
    return way[::-1], not way


def _message(place: Place, message: Row, conversation: Row, before: datetime | None) -> Item:
    """The record of one message, unless it is of the system or of a tool, or has no text."""
    fields = Fields(message)
    author = fields.left.get("author")
    role = author.get("role") if isinstance(author, dict) else None
    content = fields.object("content")
    parts = content.pop("parts", None)
    kind = content.get("content_type")
    if kind == "user_editable_context":
        texts = [content.pop(name, None) for name in ("user_profile", "user_instructions")]
    elif role not in ("user", "assistant"):
        return Loss(f"{_FORMAT}.mapping", "messages of the system and of tools", place)
    else:
        texts = parts if isinstance(parts, list) else [content.pop("text", None)]
    others = [part for part in texts if part is not None and not isinstance(part, str)]
    text = "\n".join(part for part in texts if isinstance(part, str) and part.strip())
    if not text.strip():
        return Loss(f"{_FORMAT}.mapping", "messages without text, such as images", place)
    if content:
        fields.left["content"] = content | ({"parts": others} if others else {})
    if message.get("create_time") == 0 and message["create_time"] is not False:
        fields.drop("create_time")
    said = fields.time("create_time")
    source_id = fields.name("id")
    fields.left["conversation"] = conversation
    return record(
        _FORMAT, fields, place, text, source_id=source_id, user_id=None,
        scope=scope_of("chat", conversation.get("title")), created_at=said or before, valid_from=said,
        updated_at=fields.time("update_time"),
    )  # fmt: skip


READER: Final = Reader(
    _FORMAT,
    "the archive of one's data from ChatGPT, a ZIP archive",
    read,
    {"turns": "true: what was said in conversations is read, too"},
)
