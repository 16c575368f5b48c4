"""Memories as data for hosts: as much of them as in the text for the model, and nothing in them hidden."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from ..delimited import Delimited, Note, delimit_notes, show_hidden
from ..models import MemoryRecord

Json: TypeAlias = dict[str, Any]

_LISTED: Final = ("created_at", "scope", "confidence", "valid_from", "valid_to", "status")
_WITHHELD: Final = frozenset(("user_id", "embedding_model", "content"))
MAX_LISTED_TAGS: Final = 8
MAX_TAG_CHARACTERS: Final = 64


LARGE_CHARACTERS: Final = 20_000
"""Of notes that are quoted in a thread, since that takes longer than others may wait."""


async def quoted(
    notes: Sequence[Note], token_budget: int, *, query: str = "", most_of_one: int | None = None
) -> Delimited:
    """What `delimit_notes` returns, without holding up the event loop."""
    if sum(len(note.content) for note in notes) <= LARGE_CHARACTERS:
        return delimit_notes(notes, query=query, token_budget=token_budget, most_of_one=most_of_one)
    return await asyncio.to_thread(
        delimit_notes, notes, query=query, token_budget=token_budget, most_of_one=most_of_one
    )


def listed(record: MemoryRecord, note: Note, score: float | None = None) -> Json:
    """What a list of memories has of one.

    Args:
        note: what the text has of it.
        score: how well it answers, if it was searched for.
    """
    wire = record.to_wire()
    fields: Json = {"id": record.id, "content": note.content}
    if score is not None:
        fields["score"] = round(score, 4)
    fields |= {name: wire[name] for name in _LISTED if name in wire}
    if record.source is not None and record.source.app is not None:
        fields["app"] = record.source.app
    tags = [tag for tag in record.tags or () if len(tag) <= MAX_TAG_CHARACTERS][:MAX_LISTED_TAGS]
    if tags:
        fields["tags"] = tags
    return _told(fields, note)


def shown_fields(record: MemoryRecord, note: Note) -> Json:
    """All that is known of a memory, but whose it is.

    Args:
        note: what the text has of it.
    """
    wire = {name: value for name, value in record.to_wire().items() if name not in _WITHHELD}
    return _told({"id": record.id, "content": note.content} | wire, note)


def seen(value: Any) -> Any:
    """A value of JSON without hidden characters in its texts."""
    match value:
        case str():
            return show_hidden(value)
        case dict():
            return {show_hidden(name): seen(item) for name, item in value.items()}
        case list():
            return [seen(item) for item in value]
    return value


def _told(fields: Json, note: Note) -> Json:
    if note.is_excerpt:
        fields["is_excerpt"] = True
    shown: Json = seen(fields)
    return shown
