"""The tools: from arguments to an operation, and from its result to text for a model and data for its host."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeAlias

from ..delimited import Delimited, Note, show_hidden
from ..models import MemoryRecord, MemorySource
from ..operations import Add, Context, Delete, Get, History, List, Search, Update
from .callers import Caller
from .shapes import listed, quoted, shown_fields

Json: TypeAlias = dict[str, Any]

LIST_TOKENS: Final = 5_000
"""Of the text of several memories, at most."""
MEMORY_TOKENS: Final = 20_000
"""Of the text of one memory, at most: hosts cut results of more than 25,000."""
MOST_OF_ONE: Final = LIST_TOKENS // 4
TOKENS_OF_REMARKS: Final = 160
"""Of what is said about the memories, beside them, at most."""
TITLE_CHARACTERS: Final = 80
FIELD_CHARACTERS: Final = 1_000
"""Of a field beside the content as the text has it; the data have all of it."""

NOTHING: Final = "Nothing is remembered that bears on this."


class Answer(NamedTuple):
    """The result of a tool.

    Attributes:
        text: for the model.
        data: the same for programs, by the schema of the tool's output.
    """

    text: str
    data: Json


async def search_memories(caller: Caller, given: Json) -> Answer:
    op = Search(user_id=caller.user_id, **given)
    results = await caller.run(op)
    notes = [Note.of(result.memory, result.score) for result in results]
    shown = await _several(notes, op.query)
    left_out = len(notes) - len(shown.notes)
    memories = [listed(result.memory, note, result.score) for result, note in zip(results, shown.notes, strict=False)]
    remark = f"{left_out} more did not fit; ask for fewer." if left_out else ""
    return Answer(_joined(shown.text, remark) or NOTHING, {"memories": memories})


async def get_context(caller: Caller, given: Json) -> Answer:
    op = Context(user_id=caller.user_id, **given)
    block = await caller.run(op)
    text = block.as_data(op.token_budget)
    if not text:
        is_too_long = bool(block.citations or block.omitted)
        text = f"What bears on this does not fit into {op.token_budget} tokens." if is_too_long else NOTHING
    return Answer(text, {"text": text})


async def list_memories(caller: Caller, given: Json) -> Answer:
    op = List(user_id=caller.user_id, **_with_times(given))
    page = await caller.run(op)
    shown = await _several([Note.of(record) for record in page.items], "")
    while len(shown.notes) < len(page.items) > 1:
        # What the text has no room for is on the next page. Others may have written in between.
        page = await caller.run(op.model_copy(update={"limit": max(1, len(shown.notes))}))
        shown = await _several([Note.of(record) for record in page.items], "")
    memories = [listed(record, note) for record, note in zip(page.items, shown.notes, strict=False)]
    data: Json = {"memories": memories}
    remark = ""
    if page.next_cursor is not None:
        data["next_cursor"] = page.next_cursor
        remark = f'There are more: cursor="{page.next_cursor}"'
    return Answer(_joined(shown.text, remark) or "There are no such memories.", data)


async def get_memory(caller: Caller, given: Json) -> Answer:
    record = await caller.run(Get(user_id=caller.user_id, **given))
    chain = [record]
    if "history" in (await caller.capabilities()).verbs:
        chain = await caller.run(History(user_id=caller.user_id, id=record.id))
    [place] = [index for index, other in enumerate(chain) if other.id == record.id] or [0]
    earlier, later = chain[:place], chain[place + 1 :]
    notes = [
        _in_full(record),
        *(_related(other, "replaced by it") for other in earlier),
        *(_related(other, "replaced it") for other in later),
    ]
    shown = await quoted(notes, MEMORY_TOKENS - TOKENS_OF_REMARKS)
    memory, *related = shown.notes
    data: Json = {"memory": shown_fields(record, memory)}
    for name, records in (("earlier", earlier), ("later", later)):
        told = [listed(other, note) for other in records for note in related if note.id == other.id]
        if told:
            data[name] = told
    left_out = len(notes) - len(shown.notes)
    remark = " ".join(
        [
            *(["Only a part of it fits here."] if memory.is_excerpt else []),
            *([f"{left_out} of what it replaced or what replaced it did not fit."] if left_out else []),
        ]
    )
    return Answer(_joined(shown.text, remark), data)


async def add_memory(caller: Caller, given: Json) -> Answer:
    source = MemorySource(app=caller.app, type="explicit")
    record = await caller.run(Add(user_id=caller.user_id, source=source, **_with_times(given)))
    remark = {"queued": " It can be found in a moment.", "failed": " It could not be processed; add it again."}
    data: Json = {"id": record.id, "created_at": record.created_at.isoformat()}
    if record.supersedes:
        data["supersedes"] = record.supersedes
    return Answer(f"Remembered as [{record.id}].{remark.get(record.status or '', '')}", data)


async def update_memory(caller: Caller, given: Json) -> Answer:
    changes = _with_times(given)
    if str(changes.get("valid_to", "")).strip().lower() == "never":
        changes["valid_to"] = None
    record = await caller.run(Update(user_id=caller.user_id, **changes))
    has_ended = record.valid_to is not None and record.valid_to <= datetime.now(UTC)
    text = (
        f"Forgotten: searches do not find [{record.id}] any more. valid_to=never undoes it."
        if has_ended
        else f"Changed [{record.id}]."
    )
    return Answer(text, {"id": record.id, "valid_to": None if record.valid_to is None else record.valid_to.isoformat()})


async def delete_memory(caller: Caller, given: Json) -> Answer:
    await caller.run(Delete(user_id=caller.user_id, **given))
    return Answer(f"Erased [{given['id']}] for good.", {"id": given["id"]})


async def search(caller: Caller, given: Json) -> Answer:
    results = await caller.run(Search(user_id=caller.user_id, limit=10, **given))
    found = [
        {"id": result.memory.id, "title": _title(result.memory), "url": f"memory://{result.memory.id}"}
        for result in results
    ]
    return _as_json({"results": found})


async def fetch(caller: Caller, given: Json) -> Answer:
    record = await caller.run(Get(user_id=caller.user_id, **given))
    text = (await quoted([Note.of(record)], MEMORY_TOKENS)).text
    return _as_json({"id": record.id, "title": _title(record), "text": text, "url": f"memory://{record.id}"})


TOOLS: Final[Mapping[str, Callable[[Caller, Json], Awaitable[Answer]]]] = {
    tool.__name__: tool
    for tool in (
        search_memories,
        get_context,
        list_memories,
        get_memory,
        add_memory,
        update_memory,
        delete_memory,
        search,
        fetch,
    )
}
"""What each tool does, by its name."""


async def _several(notes: list[Note], query: str) -> Delimited:
    return await quoted(notes, LIST_TOKENS - TOKENS_OF_REMARKS, query=query, most_of_one=MOST_OF_ONE)


def _in_full(record: MemoryRecord) -> Note:
    note = Note.of(record)
    more = {
        "confidence": record.confidence,
        "tags": None if not record.tags else " ".join(record.tags),
        "key": record.key,
        "metadata": None if record.metadata is None else json.dumps(record.metadata, ensure_ascii=False),
    }
    told = tuple(f"{name} {_cut(str(value), FIELD_CHARACTERS)}" for name, value in more.items() if value is not None)
    return Note(note.id, note.content, (*note.details, *told))


def _related(record: MemoryRecord, how: str) -> Note:
    note = Note.of(record)
    return Note(note.id, note.content, (how, *note.details))


def _joined(text: str, remark: str) -> str:
    return "\n".join(filter(None, (text, remark)))


def _with_times(given: Json) -> Json:
    """The arguments, with the moment in place of ``now``, which models know no better."""
    now = datetime.now(UTC)
    return {
        name: now if isinstance(value, str) and value.strip().lower() == "now" and name in _TIMES else value
        for name, value in given.items()
    }


_TIMES: Final = frozenset(("since", "until", "valid_from", "valid_to"))


def _title(record: MemoryRecord) -> str:
    return _cut(show_hidden(" ".join(record.content.split())), TITLE_CHARACTERS)


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[:characters]}\u2026"


def _as_json(data: Json) -> Answer:
    """ChatGPT reads the text as JSON."""
    return Answer(json.dumps(data, ensure_ascii=False), data)
