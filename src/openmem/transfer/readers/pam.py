"""Portable AI Memory 1.0: one JSON document with the memories of one owner."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any, Final

from ...errors import InvalidRequestError
from ..formats import Options, Reader
from ..records import RECORD_FIELDS, Item, Loss, Place, Problem
from ..sources import Source
from .canonical_json import canonical
from .fields import Fields, earliest, fits_metadata, imported_from, is_name, record, time_of
from .pam_terms import FORMAT, METHODS, OURS, TYPES, content_hash, relation_id, type_of

Row = dict[str, Any]

_ENDED: Final = ("superseded", "retracted", "archived")
_TIMES: Final = ("created_at", "updated_at", "valid_from", "valid_to", "expires_at")


def read(source: Source, options: Options) -> Iterator[Item]:
    """The memories of the document."""
    document = source.document()
    if not isinstance(document, dict) or document.get("schema") != "portable-ai-memory":
        raise InvalidRequestError(f"{source.name}: is no document of Portable AI Memory")
    memories = document.get("memories")
    if not isinstance(memories, list):
        raise InvalidRequestError(f"{source.name}: has no array 'memories'")
    if not str(document.get("schema_version", "")).startswith("1."):
        raise InvalidRequestError(f"{source.name}: is of another version than 1 of Portable AI Memory")
    owner = document.get("owner")
    user = owner.get("id") if isinstance(owner, dict) else None
    yield from _header(document, memories)
    links = _Links(memories, document.get("relations"))
    for number, row in enumerate(memories, 1):
        place = Place(item=number, part="memories")
        yield (
            memory(place, row, str(user) if is_name(user) else None, links)
            if isinstance(row, dict)
            else Problem("is no JSON object", place)
        )
    if links.relations:
        yield Loss(f"{FORMAT}.relations", "relations of memories that the document does not have")


class _Links:
    """Which memory replaces which, and the other relations by the memory that they begin at."""

    def __init__(self, memories: list[Any], relations: object) -> None:
        self.replaced: dict[str, list[str]] = {}
        self.began: dict[str, Any] = {}
        self.relations: dict[str, list[Row]] = {}
        for row in memories:
            if isinstance(row, dict) and isinstance(row.get("id"), str):
                temporal = row.get("temporal")
                times = temporal if isinstance(temporal, dict) else {}
                self.began[row["id"]] = time_of(times.get("valid_from")) or time_of(times.get("created_at"))
                if isinstance(times.get("superseded_by"), str):
                    self.replaced.setdefault(times["superseded_by"], []).append(row["id"])
        for relation in relations if isinstance(relations, list) else ():
            if isinstance(relation, dict):
                self._add(relation)

    def _add(self, relation: Row) -> None:
        begin, end = relation.get("from"), relation.get("to")
        if relation.get("type") == "supersedes" and isinstance(begin, str) and isinstance(end, str):
            self.replaced.setdefault(begin, []).append(end)
        self.relations.setdefault(str(begin), []).append(relation)


def memory(place: Place, row: Row, user_id: str | None, links: _Links) -> Item:
    """The record of one memory."""
    fields = Fields(row)
    source_id = fields.name("id")
    content = fields.text("content")
    if content is not None and row.get("content_hash") == content_hash(content):
        fields.drop("content_hash")
    metadata = fields.object("metadata")
    temporal = Fields(fields.object("temporal"))
    created, updated = temporal.time("created_at"), temporal.time("updated_at")
    begins, ends = temporal.time("valid_from"), temporal.time("valid_until")
    by = temporal.left.get("superseded_by")
    if isinstance(by, str) and by in links.began:
        temporal.drop("superseded_by")
    if fields.left.get("status") in _ENDED and not isinstance(metadata.get(OURS), dict):
        known = earliest(ends, links.began.get(by)) if isinstance(by, str) else ends
        if ends is not None and known != ends:
            temporal.left["valid_until"] = ends.isoformat()
        ends = known or updated or created
    if fields.left.get("status") == "active":
        fields.drop("status")
    confidence = Fields(fields.object("confidence"))
    current = confidence.share("current")
    provenance = Fields(fields.object("provenance"))
    platform = provenance.text("platform")
    tags = fields.tags("tags")
    kind = row.get("type")
    if isinstance(kind, str) and kind in TYPES and kind not in tags:
        tags.append(kind)
    is_ours = isinstance(metadata.get(OURS), dict)
    ours = _ours(metadata.pop(OURS)) if is_ours else {}
    relations = links.relations.pop(str(row.get("id")), [])
    if is_ours:
        _drop_written(row, ours, fields, provenance)
        relations = [relation for relation in relations if not _is_written(relation)]
    if not fits_metadata(metadata):
        fields.left["metadata"] = metadata
        metadata = {}
    for name, part in (("temporal", temporal), ("confidence", confidence), ("provenance", provenance)):
        if part.left:
            fields.left[name] = part.left
    if relations:
        fields.left["relations"] = relations
    extension = ours.pop(f"x-{FORMAT}", None)
    for name, value in (extension if isinstance(extension, dict) else {}).items():
        both = isinstance(value, dict) and isinstance(fields.left.get(name), dict)
        fields.left[name] = fields.left[name] | value if both else value
    given: Row = {
        "tags": tags, "metadata": metadata, "confidence": current, "created_at": created, "updated_at": updated,
        "valid_from": begins, "valid_to": ends, "source": imported_from(platform, source_id),
        "supersedes": [id for id in dict.fromkeys(links.replaced.get(str(source_id), [])) if id != source_id],
    }  # fmt: skip
    if is_ours:
        for name in {"tags", "source"} - ours.keys():
            del given[name]
    return record(FORMAT, fields, place, content, source_id=source_id, user_id=user_id, **given | ours)


def _drop_written(row: Row, ours: Row, fields: Fields, provenance: Fields) -> None:
    """Drop what openmem's own writer adds to a memory. What was in `FORMAT`'s extension before is in `ours`."""
    tags, source = ours.get("tags"), ours.get("source")
    if row.get("type") == type_of(tags if isinstance(tags, list) else ()):
        fields.drop("type")
    if row.get("status") == "superseded":
        fields.drop("status")
    kind = source.get("type") if isinstance(source, dict) else None
    if isinstance(kind, str) and provenance.left.get("extraction_method") == METHODS.get(kind):
        provenance.drop("extraction_method")


def _is_written(relation: Row) -> bool:
    """Whether a relation is one that openmem's own writer adds."""
    ends = relation.get("from"), relation.get("to")
    return relation.get("type") == "supersedes" and relation.get("id") == relation_id(str(ends[0]), str(ends[1]))


def _ours(kept: Row) -> Row:
    """What openmem's own writer keeps beside the fields of the format."""
    names = RECORD_FIELDS - {"content"}
    fields = {name: value for name, value in kept.items() if name in names or re.fullmatch(r"x-[a-z0-9][\w-]*", name)}
    for name in _TIMES:
        if name in fields:
            fields[name] = time_of(fields[name])
    return fields


def _header(document: Row, memories: list[Any]) -> Iterator[Item]:
    integrity = document.get("integrity")
    checksum = integrity.get("checksum") if isinstance(integrity, dict) else None
    if isinstance(checksum, str) and all(isinstance(row, dict) and isinstance(row.get("id"), str) for row in memories):
        ordered = sorted(memories, key=lambda row: str(row["id"]))
        digest = hashlib.sha256(canonical(ordered).encode("utf-8", "surrogatepass")).hexdigest()
        if checksum != f"sha256:{digest}":
            yield Problem("has another checksum than its memories: they were changed, or cut off", Place())
    if document.get("conversations_index"):
        yield Loss(f"{FORMAT}.conversations_index", "the index of conversations is of no memory")
    if document.get("signature"):
        yield Loss(f"{FORMAT}.signature", "signatures are not checked")


READER: Final = Reader(FORMAT, "Portable AI Memory 1.0, a JSON document", read)
