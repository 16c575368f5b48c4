"""Letta: agent files (``.af``) and pages of passages.

Of an agent file the blocks of its memory are read, and with an option its messages. What runs an agent (its system
prompt, models, tools and their secrets) is no memory. Secrets are never read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from ...errors import InvalidRequestError
from ..formats import Options, Reader, flag
from ..records import Item, Loss, Place, Problem
from ..sources import Source
from .enveloped import open_envelope, without_envelope
from .fields import Fields, record, scope_of
from .rows import rows_of

_FORMAT: Final = "letta"
_PAGES: Final = ("passages", "results", "items", "data")
_SECRETS: Final = ("secrets", "tool_exec_environment_variables")
_DERIVED: Final = ("embedding", "embedding_config")

Row = dict[str, Any]


def read(source: Source, options: Options) -> Iterator[Item]:
    """The memories of an agent file, or the passages of pages."""
    with_turns = flag(options, "turns")
    found = 0
    for row in _objects(source):
        if isinstance(row, Problem):
            yield row
            continue
        place, value = row
        if isinstance(value.get("agents"), list):
            yield from agents(value, place, with_turns=with_turns)
        elif isinstance(value.get("core_memory"), list):
            yield from agent_of_version_1(value, place, with_turns=with_turns)
        elif "text" in value or "id" in value:
            yield passage(place, value)
        else:
            yield Problem("is neither an agent nor a passage", place)
            continue
        found += 1
    if not found:
        raise InvalidRequestError(f"{source.name}: is neither an agent file of Letta nor a page of passages")


def _objects(source: Source) -> Iterator[tuple[Place, Row] | Problem]:
    for row in rows_of(source, ()):
        if isinstance(row, Problem):
            yield row
            continue
        pages = (row[1].get(name) for name in _PAGES)
        page = next((page for page in pages if isinstance(page, list)), None)
        for number, value in [(row[0].item, row[1])] if page is None else enumerate(page, 1):
            place = replace(row[0], item=number)
            yield (place, value) if isinstance(value, dict) else Problem("is no JSON object", place)


def passage(place: Place, row: Row) -> Item:
    """The record of a passage of archival memory."""
    fields = Fields(row)
    fields.drop(*_DERIVED)
    source_id = fields.name("id")
    content = fields.text("text")
    metadata = row.get("metadata") or row.get("metadata_")
    ours = open_envelope(metadata)
    if ours is not None and isinstance(metadata, dict):
        kept, user = ours
        fields.drop("created_at", "updated_at", "tags", "metadata", "metadata_")
        other = without_envelope(metadata)
        if other and other != kept.get("metadata"):
            fields.left["metadata"] = other
        extension = kept.pop(f"x-{_FORMAT}", None)
        fields.left |= extension if isinstance(extension, dict) else {}
        return record(_FORMAT, fields, place, content, source_id=source_id, user_id=user, **kept)
    updated = fields.time("updated_at")
    created = fields.time("created_at")
    return record(
        _FORMAT,
        fields,
        place,
        content,
        source_id=source_id,
        user_id=None,
        tags=fields.tags("tags"),
        metadata=fields.metadata() or fields.metadata("metadata_"),
        created_at=created,
        updated_at=updated,
        valid_to=(updated or created) if row.get("is_deleted") is True else None,
    )


def agents(file: Row, place: Place, *, with_turns: bool) -> Iterator[Item]:
    """The memories of an agent file of version 2, which may have several agents."""
    owners: dict[str, list[str]] = {}
    for agent in file["agents"]:
        ids = agent.get("block_ids") if isinstance(agent, dict) else None
        for id in ids if isinstance(ids, list) else ():
            if isinstance(id, str):
                owners.setdefault(id, []).append(str(agent.get("name") or agent.get("id") or ""))
    blocks = file.get("blocks")
    for number, block in enumerate(blocks if isinstance(blocks, list) else (), 1):
        at = Place(item=number, part="blocks")
        if isinstance(block, dict):
            id = block.get("id")
            yield from _block(at, block, owners.get(id, []) if isinstance(id, str) else [], file.get("created_at"))
        else:
            yield Problem("is no JSON object", at)
    for agent in file["agents"]:
        if not isinstance(agent, dict):
            yield Problem("has an agent that is no JSON object", place, field="agents")
            continue
        inner = agent.get("memory_blocks")
        for number, block in enumerate(inner if isinstance(inner, list) else (), 1):
            if isinstance(block, dict):
                yield from _block(Place(item=number, part="memory_blocks"), block, [str(agent.get("name") or "")], None)
        yield from _losses(agent, ("name", "id", "block_ids", "memory_blocks"), place)
        yield from _messages(agent, place, with_turns=with_turns)
    yield from _losses(file, ("agents", "blocks", "created_at", "metadata"), place)


def agent_of_version_1(agent: Row, place: Place, *, with_turns: bool) -> Iterator[Item]:
    """The memories of an agent file of version 1, which is one agent."""
    for number, block in enumerate(agent["core_memory"], 1):
        at = Place(item=number, part="core_memory")
        if isinstance(block, dict):
            yield from _block(at, block, [str(agent.get("name") or "")], agent.get("created_at"))
        else:
            yield Problem("is no JSON object", at)
    known = ("name", "core_memory", "created_at", "updated_at", "version")
    yield from _losses(agent, known, place)
    yield from _messages(agent, place, with_turns=with_turns)


def _block(place: Place, block: Row, owners: list[str], written: object) -> Iterator[Item]:
    fields = Fields(block)
    value = block.get("value")
    if isinstance(value, str) and not value.strip():
        yield Loss(f"{_FORMAT}.blocks", "blocks without a text", place)
        return
    names = [name for name in owners if name.strip()]
    if names:
        fields.left["agents"] = names
    id = fields.name("id")
    if "created_at" not in fields.left and written is not None:
        fields.left["file_created_at"] = written
    created = fields.time("created_at") or fields.time("file_created_at")
    metadata = fields.metadata() or fields.metadata("metadata_")
    label = fields.left.get("label")
    content = fields.text("value")
    source_id = None if id is None else f"{'+'.join(names)}/{id}"
    yield record(
        _FORMAT, fields, place, content, source_id=source_id, user_id=None,
        scope=scope_of("agents", names[0], label) if len(names) == 1 else scope_of("blocks", label),
        tags=fields.tags("tags"), metadata=metadata, created_at=created, updated_at=fields.time("updated_at"),
    )  # fmt: skip


def _messages(agent: Row, place: Place, *, with_turns: bool) -> Iterator[Item]:
    messages = agent.get("messages")
    if not isinstance(messages, list) or not messages:
        return
    if not with_turns:
        yield Loss(f"{_FORMAT}.messages", "messages are read with the option turns=true", place)
        return
    for number, message in enumerate(messages, 1):
        at = Place(item=number, part="messages")
        if not isinstance(message, dict):
            yield Problem("is no JSON object", at)
        elif message.get("role") not in ("user", "assistant"):
            yield Loss(f"{_FORMAT}.messages", "messages of the system and of tools", at)
        else:
            yield _message(at, message, agent.get("name"))


def _message(place: Place, message: Row, agent: object) -> Item:
    fields = Fields(message)
    content = fields.left.get("content")
    blocks = content if isinstance(content, list) else []
    texts = [block.get("text") for block in blocks if isinstance(block, dict)]
    text = fields.text("content") or "\n".join(text for text in texts if isinstance(text, str))
    if all(isinstance(block, dict) and block.keys() <= {"type", "text"} for block in blocks):
        fields.drop("content")
    said = fields.time("created_at")
    source_id = fields.name("id")
    return record(
        _FORMAT, fields, place, text, source_id=None if source_id is None else f"{agent}/{source_id}", user_id=None,
        scope=scope_of("chat", agent), created_at=said, valid_from=said, updated_at=fields.time("updated_at"),
    )  # fmt: skip


def _losses(row: Mapping[str, Any], read: tuple[str, ...], place: Place) -> Iterator[Item]:
    """What a file or an agent has beside memories. Whether it has secrets is said, and nothing of them."""
    for name, value in row.items():
        if name in _SECRETS and value:
            yield Loss(f"{_FORMAT}.{name}", "secrets are never imported", place)
        elif name not in (*read, "messages", "in_context_message_ids", "in_context_message_indices") and value not in (
            None,
            [],
            {},
            "",
            False,
        ):
            yield Loss(f"{_FORMAT}.{name}", "settings of the agent, no memory", place)


READER: Final = Reader(
    _FORMAT,
    "Letta: agent files (.af), and passages of archival memory as pages or lines",
    read,
    {"turns": "true: the messages of agents are read, too"},
)
