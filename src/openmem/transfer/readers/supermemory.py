"""Supermemory: pages of its API with documents, or with the memories that it made of them.

A document is what was stored; memories are what a model derived from it. Both are read, whichever a page has. The chain
of versions of a memory becomes `supersedes`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from ..formats import Options, Reader
from ..records import Item, Place, Problem
from ..sources import Source
from .enveloped import open_envelope, without_envelope
from .fields import Fields, earliest, record, time_of
from .rows import rows_of

_FORMAT: Final = "supermemory"
_PAGES: Final = ("memoryEntries", "documents", "memories", "results")
_ENTRY: Final = frozenset({"memory", "isLatest", "isForgotten", "parentMemoryId", "rootMemoryId", "memoryRelations"})

Row = dict[str, Any]


def read(source: Source, options: Options) -> Iterator[Item]:
    """The memories or documents of the pages."""
    for row in rows_of(source, _PAGES):
        yield row if isinstance(row, Problem) else memory(*row)


def memory(place: Place, row: Row) -> Item:
    """The record of a memory or of a document."""
    if _ENTRY & row.keys():
        return _entry(place, row)
    fields = Fields(row)
    source_id = fields.name("id", "documentId")
    content = fields.text("content", "raw")
    if content is None:
        return Problem("has no content: the list of documents leaves it out, GET /v3/documents/{id} has it", place,
                       source_id=source_id)  # fmt: skip
    ours = open_envelope(row.get("metadata"))
    if ours is not None:
        return _ours(fields, place, content, source_id, *ours)
    return record(
        _FORMAT, fields, place, content, source_id=source_id, user_id=_container(fields), metadata=fields.metadata(),
        created_at=fields.time("createdAt"), updated_at=fields.time("updatedAt"),
    )  # fmt: skip


def _entry(place: Place, row: Row) -> Item:
    fields = Fields(row)
    source_id = fields.name("id")
    content = fields.text("memory", "content")
    created, updated = fields.time("createdAt"), fields.time("updatedAt")
    ends: datetime | None = time_of(row.get("forgetAfter"))
    if row.get("isForgotten") is True:
        ends = earliest(ends, updated) or created
    replaced = _replaced(row)
    if replaced == [fields.left.get("parentMemoryId")]:
        fields.drop("parentMemoryId")
    metadata = row.get("metadata")
    version = row.get("version")
    return record(
        _FORMAT,
        fields,
        place,
        content,
        source_id=source_id,
        user_id=_container(fields),
        metadata=fields.metadata() if isinstance(metadata, dict) else None,
        created_at=created,
        updated_at=updated,
        valid_to=ends,
        supersedes=replaced,
        version=fields.left.pop("version") if isinstance(version, int) and 1 <= version < 2**31 else None,
    )


def _replaced(row: Row) -> list[str]:
    """The memories that this one updates: those it is related to so, and the version before it."""
    relations = row.get("memoryRelations")
    found: list[str] = []
    if isinstance(relations, Mapping):
        found = [id for id, kind in relations.items() if kind == "updates"]
    parent = row.get("parentMemoryId")
    if isinstance(parent, str) and parent and not (isinstance(relations, Mapping) and parent in relations):
        found.append(parent)
    return [id for id in dict.fromkeys(found) if id != row.get("id")]


def _container(fields: Fields) -> str | None:
    """The container, if there is one; Supermemory keeps users apart by it."""
    tags = fields.left.get("containerTags")
    if isinstance(tags, list) and len(tags) == 1 and isinstance(tags[0], str) and tags[0].strip():
        fields.drop("containerTags")
        return str(tags[0])
    return fields.name("spaceContainerTag", "containerTag")


def _ours(fields: Fields, place: Place, content: str, source_id: str | None, kept: Row, user: str) -> Item:
    other = without_envelope(fields.object("metadata"))
    fields.drop("containerTags", "containerTag", "createdAt", "updatedAt", "customId")
    if other and other != kept.get("metadata"):
        fields.left["metadata"] = other
    extension = kept.pop(f"x-{_FORMAT}", None)
    fields.left |= extension if isinstance(extension, dict) else {}
    return record(_FORMAT, fields, place, content, source_id=source_id, user_id=user, **kept)


READER: Final = Reader(_FORMAT, "Supermemory: pages of documents or of memories, from its API", read)
