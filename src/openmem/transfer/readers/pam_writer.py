"""Memories of one user as a document of Portable AI Memory 1.0.

What the format has no field for is kept in the metadata of each memory, under ``openmem``, where the format allows
anything. So `openmem.transfer.readers.pam` gives back what was written.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from ...models import MemoryRecord
from .canonical_json import canonical
from .pam_terms import FORMAT, METHODS, OURS, TYPES, content_hash, relation_id, type_of

Row = dict[str, Any]

_TAG: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")
_PLATFORM: Final = re.compile(r"[a-z0-9_-]{2,32}")
_OURS: Final[tuple[str, ...]] = (
    "scope", "tags", "source", "key", "version", "expires_at", "indexed", "supersedes",
)  # fmt: skip
"""Fields that the format does not have, or not as they are."""
_KEPT: Final = ("custom_type", "summary", "access")
"""Fields that an import from this format left as they were."""


def pam_document(memories: Iterable[MemoryRecord], owner: str, *, exported_at: datetime, exporter: str) -> Row:
    """The document.

    Args:
        memories: all of one user; they and the document are in memory at once.
        owner: whose they are.
        exporter: name and version of the program, as in ``openmem/0.2.0``.
    """
    records = list(memories)
    replacing = {id: record for record in records for id in record.supersedes or ()}
    rows = sorted((_memory(record, replacing.get(record.id)) for record in records), key=lambda row: str(row["id"]))
    digest = hashlib.sha256(canonical(rows).encode()).hexdigest()
    known = {record.id for record in records}
    relations = [
        {
            "id": relation_id(record.id, id),
            "from": record.id,
            "to": id,
            "type": "supersedes",
            "created_at": _time(record.created_at),
        }
        for record in records
        for id in record.supersedes or ()
        if id in known
    ]
    return {
        "schema": "portable-ai-memory",
        "schema_version": "1.0",
        "spec_uri": "https://portable-ai-memory.org/spec/v1.0",
        "export_id": str(uuid4()),
        "exported_by": exporter,
        "export_date": _time(exported_at),
        "owner": {"id": owner},
        "memories": rows,
        "relations": relations,
        "integrity": {"canonicalization": "RFC8785", "checksum": f"sha256:{digest}", "total_memories": len(rows)},
    }


def _memory(record: MemoryRecord, replaced_by: MemoryRecord | None) -> Row:
    wire = record.to_wire()
    pam = wire.get(f"x-{FORMAT}")
    before: Row = pam if isinstance(pam, dict) else {}
    tags = record.tags or []
    kind = before.get("type")
    if kind not in TYPES or (kind == "custom" and not isinstance(before.get("custom_type"), str)):
        kind = type_of(tags)
    source = record.source
    ours: Row = {name: wire[name] for name in _OURS if name in wire and (name != "indexed" or not record.indexed)}
    ours |= {name: value for name, value in record.extensions.items() if name != f"x-{FORMAT}" or before}
    metadata = dict(record.metadata or {})
    if OURS in metadata or any(not isinstance(metadata.get(name, ""), str) for name in ("language", "domain")):
        ours["metadata"] = metadata
        metadata = {}
    app = source.app if source is not None else None
    status = before.get("status") if before.get("status") in ("deprecated", "retracted", "archived") else "active"
    temporal = {
        "created_at": _time(record.created_at),
        "updated_at": _time(record.updated_at),
        "valid_from": _time(record.valid_from),
        "valid_until": _time(record.valid_to),
        "superseded_by": None if replaced_by is None else replaced_by.id,
    }
    row: Row = {name: before[name] for name in _KEPT if name in before}
    row |= {
        "id": record.id,
        "type": kind,
        "status": "superseded" if replaced_by is not None else status,
        "content": record.content,
        "content_hash": content_hash(record.content),
        "tags": [tag for tag in dict.fromkeys(tags) if _TAG.fullmatch(tag)],
        "temporal": temporal,
        "provenance": _provenance(before, app, None if source is None else source.type),
        "embedding_ref": None,
        "metadata": metadata | {OURS: ours},
    }
    if kind != "custom":
        row.pop("custom_type", None)
    if record.confidence is not None:
        given = before.get("confidence")
        row["confidence"] = (given if isinstance(given, dict) else {}) | {"current": record.confidence}
    return row


def _provenance(before: Row, app: str | None, kind: str | None) -> Row:
    given = before.get("provenance")
    kept = dict(given) if isinstance(given, dict) else {}
    method = None if kind is None else METHODS.get(kind)
    if method is not None:
        kept.setdefault("extraction_method", method)
    return kept | {"platform": app if app is not None and _PLATFORM.fullmatch(app) else "openmem"}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
