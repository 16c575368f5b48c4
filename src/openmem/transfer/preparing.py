"""From the record of a source to what a backend is asked to store. Pure.

The identity of a record is its *import key*, a digest of its format, its store and its id there. Every memory that a
record of another format became has it in the extension ``x-omp-import``, so that the target itself knows what was
imported. A backend that stores memories as they were gets an id that follows from the key. Memories of openmem keep the
ids that they have.

What a backend has no place for is kept in ``x-omp-import.record``. A later import takes it out again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from .._ids import bucket_in, bucket_of, memory_id_of
from ..errors import OMPError
from ..models import CapabilityFeatures, MemoryRecord, as_utc
from ..operations import Add, Count, RestoredMemory
from .omp_format import FORMAT as OMP
from .omp_format import SET_BY_BACKEND
from .records import RECORD_FIELDS, Loss, Problem, SourceRecord

EXTENSION: Final = "x-omp-import"
TICK: Final = timedelta(microseconds=1)

_ONLY_RESTORED: Final = ("created_at", "updated_at", "version")
"""Fields that only `restore` takes."""
_NEEDS: Final = {
    "metadata": "metadata",
    "key": "keys",
    "expires_at": "expiry",
    "indexed": "unindexed",
    "valid_from": "temporal",
    "valid_to": "temporal",
    "supersedes": "supports_supersession",
}
"""Fields that need a feature of the backend, and which."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What an import changes of every record.

    Attributes:
        users: new names of users, by name.
        user: whose the records are that have no user.
        scope_prefix: a path that goes before each scope.

    Raises:
        InvalidRequestError: a user or the path cannot be one of a memory.
    """

    users: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    scope_prefix: str | None = None

    def __post_init__(self) -> None:
        for name in (self.user, *self.users.values()):
            if name is not None:
                Count(user_id=name)
        if self.scope_prefix is not None:
            Add(content=".", user_id=".", scope=self.scope_prefix)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A record, ready for a backend.

    Attributes:
        source: the record as it is in the source.
        key: its import key.
        user_id: whose it will be.
        id: the id it will have in a backend that stores memories as they were.
        fields: the fields of the protocol that it will have, without user and id. ``supersedes`` has ids of the source.
        has_time: whether the source says when it was created.
        superseded: the import keys of the memories that it supersedes, by their ids in the source.
    """

    source: SourceRecord
    key: str
    user_id: str
    id: str
    fields: Mapping[str, Any]
    has_time: bool
    superseded: Mapping[str, str]
    losses: tuple[Loss, ...] = ()


def import_key(format: str, store: str, source_id: str) -> str:
    """The identity of a record of a source."""
    return hashlib.sha256(json.dumps([format, store, source_id]).encode()).hexdigest()[:32]


def prepare(source: SourceRecord, format: str, changes: Changes) -> Prepared | Problem:
    """A record with its user, its identity and what was kept of it in `EXTENSION`; or why that cannot be."""
    fields = dict(source.fields)
    user_id = changes.user if source.user_id is None else changes.users.get(source.user_id, source.user_id)
    if user_id is None:
        return Problem("has no user; say whose it is with --user", source.place, "user_id", source.source_id)
    refusal = _refusal_of_user(user_id)
    if refusal is not None:
        return Problem(refusal, source.place, "user_id", source.source_id)
    id, key = _identity(source, format, fields)
    losses = list(source.losses)
    unknown = {name: fields.pop(name) for name in [*fields] if name not in RECORD_FIELDS and not name.startswith("x-")}
    losses += (Loss(name, "the protocol of this version does not have it", source.place) for name in unknown)
    is_kept = user_id == (source.user_id or user_id) and bucket_in(id) == bucket_of(user_id)
    given = fields.get("supersedes") or ()
    named = [name for name in given if isinstance(name, str)] if isinstance(given, list | tuple) else []
    superseded = {name: import_key(_format_of(name, format), source.store, name) for name in named}
    if not is_kept or unknown:
        origin = fields.get(EXTENSION)
        fields[EXTENSION] = dict(origin) if isinstance(origin, dict) else {"key": key, "format": format, "id": id}
        if unknown:
            fields[EXTENSION]["record"] = unknown
        if format != OMP:
            fields.setdefault("source", {"app": format, "type": "imported", "ref": source.source_id})
    if changes.scope_prefix is not None:
        scope = fields.get("scope")
        fields["scope"] = f"{changes.scope_prefix}/{scope}" if scope else changes.scope_prefix
    return Prepared(
        source,
        key,
        user_id,
        id if is_kept else memory_id_of(user_id, key),
        fields,
        fields.get("created_at") is not None,
        superseded,
        tuple(losses),
    )


def _refusal_of_user(user_id: str) -> str | None:
    """Why nobody can have this id; None if somebody can."""
    try:
        Count(user_id=user_id)
    except OMPError as error:
        return error.message.removeprefix("user_id: ")
    return None


def _format_of(id: str, format: str) -> str:
    """The format to which an id belongs: those of openmem are known wherever they come from."""
    return OMP if bucket_in(id) is not None else format


def _identity(source: SourceRecord, format: str, fields: dict[str, Any]) -> tuple[str, str]:
    """The id and the key of a record; what another backend had no place for is put back into its fields."""
    origin = fields.get(EXTENSION)
    if not isinstance(origin, dict):
        return source.source_id, import_key(_format_of(source.source_id, format), source.store, source.source_id)
    kept = origin.get("record")
    if isinstance(kept, dict):
        del fields[EXTENSION]
        changed = fields.get("updated_at")
        fields |= {name: value for name, value in kept.items() if name != "id"}
        if changed is not None:
            fields["updated_at"] = changed
        for name in [name for name, value in fields.items() if value is None and not name.startswith("x-")]:
            del fields[name]
    id, key = origin.get("id"), origin.get("key")
    if not isinstance(id, str) or not isinstance(key, str) or not _is_key(key):
        return source.source_id, import_key(format, source.store, source.source_id)
    if isinstance(kept, dict) and EXTENSION not in fields and bucket_in(id) is None:
        fields[EXTENSION] = {name: value for name, value in origin.items() if name != "record"}
    restored = kept.get("id") if isinstance(kept, dict) else None
    return (restored if isinstance(restored, str) else source.source_id), key


def _is_key(text: str) -> bool:
    return len(text) == 32 and all(character in "0123456789abcdef" for character in text)


def as_restored(prepared: Prepared, created_at: datetime) -> RestoredMemory | Problem:
    """The memory as `restore` takes it; or why it is none.

    Args:
        created_at: when it was created, if the source does not say.
    """
    fields = dict(prepared.fields)
    fields.setdefault("created_at", created_at)
    if prepared.superseded:
        fields["supersedes"] = [restored_id(name, prepared) for name in prepared.superseded]
    restored: RestoredMemory | Problem = _operation(RestoredMemory, prepared, {**fields, "id": prepared.id})
    return restored


def restored_id(name: str, prepared: Prepared) -> str:
    """The id of a superseded memory in a backend that stores memories as they were.

    Args:
        name: its id in the source.
    """
    is_kept = prepared.user_id == (prepared.source.user_id or prepared.user_id)
    if is_kept and bucket_in(name) == bucket_of(prepared.user_id):
        return name
    return memory_id_of(prepared.user_id, prepared.superseded[name])


@dataclass(frozen=True, slots=True)
class Addition:
    """A memory as `add` takes it.

    Attributes:
        operation: what is asked for.
        left_out: why fields are not in it, by name.
    """

    operation: Add
    left_out: Mapping[str, str]


def as_added(
    prepared: Prepared, features: CapabilityFeatures, provider: str, ids: Mapping[str, str]
) -> Addition | Problem:
    """The memory as `add` takes it; or why it is none.

    Args:
        features: what the backend can do.
        ids: the ids there of the memories that it supersedes, by their ids in the source.
    """
    fields = {name: value for name, value in prepared.fields.items() if name != EXTENSION}
    origin = prepared.fields.get(EXTENSION)
    kept: dict[str, Any] = {name: fields.pop(name) for name in _ONLY_RESTORED if name in fields}
    left_out = dict.fromkeys(kept, f"{provider} sets it")
    if prepared.superseded:
        fields["supersedes"] = [restored_id(name, prepared) for name in prepared.superseded]
    for name, feature in _NEEDS.items():
        if name in fields and not getattr(features, feature) and not (name == "indexed" and fields[name]):
            kept[name] = fields.pop(name)
            left_out[name] = f"{provider} has no place for it"
    if features.scopes == "none" and "scope" in fields:
        kept["scope"] = fields.pop("scope")
        left_out["scope"] = f"{provider} has no scopes"
    if "supersedes" in fields:
        kept["supersedes"] = fields["supersedes"]
        fields["supersedes"] = [ids[name] for name in prepared.superseded if name in ids]
        fields["supersede_ended"] = True
        if len(ids) < len(prepared.superseded):
            left_out["supersedes"] = "what it supersedes was not imported"
    created_at = kept.get("created_at")
    if created_at is not None and features.temporal and "valid_from" not in fields and _may_begin(created_at, fields):
        fields["valid_from"] = created_at
        kept["valid_from"] = None
        left_out["valid_from"] = f"it holds created_at, which {provider} sets"
    if EXTENSION in prepared.fields:
        kept[EXTENSION] = origin
    kept["id"] = prepared.id
    told = {"format": OMP, "id": prepared.id, **(origin if isinstance(origin, dict) else {})}
    extension = {"key": prepared.key, "format": told["format"], "id": told["id"], "record": kept}
    operation = _operation(Add, prepared, {**fields, EXTENSION: extension})
    return operation if isinstance(operation, Problem) else Addition(operation, left_out)


def _may_begin(created_at: object, fields: Mapping[str, Any]) -> bool:
    """Whether a memory can hold from then on; not if it has ended by then."""
    end = fields.get("valid_to")
    if end is None:
        return True
    try:
        return _moment(created_at) <= _moment(end)
    except ValueError:
        return False


def _moment(value: object) -> datetime:
    return as_utc(value if isinstance(value, datetime) else datetime.fromisoformat(str(value)))


def _operation(kind: type[Any], prepared: Prepared, fields: Mapping[str, Any]) -> Any:
    known = {name: value for name, value in fields.items() if not name.startswith("x-")}
    extensions = {name: value for name, value in fields.items() if name.startswith("x-")}
    try:
        return kind(user_id=prepared.user_id, **known, extensions=extensions)
    except OMPError as error:
        name, colon, reason = error.message.partition(": ")
        place, id = prepared.source.place, prepared.source.source_id
        return Problem(reason, place, name, id) if colon else Problem(error.message, place, source_id=id)


def wire_of(operation: Add) -> dict[str, Any]:
    """The memory that an operation asks for, as the protocol has it, without what a backend finds out anew."""
    fields = {"id": "", "created_at": datetime.min, **operation.record_fields}
    wire = comparable(MemoryRecord.model_validate(fields))
    return wire if isinstance(operation, RestoredMemory) else {n: v for n, v in wire.items() if n not in _SET}


_SET: Final = ("id", "created_at")


def comparable(record: MemoryRecord) -> dict[str, Any]:
    """A memory as the protocol has it, without what a backend finds out anew."""
    return {name: value for name, value in record.to_wire().items() if name not in SET_BY_BACKEND}


def differing(wanted: Mapping[str, Any], found: Mapping[str, Any], ignored: Sequence[str] = ()) -> tuple[str, ...]:
    """The names of the fields that two memories have different values of."""
    names = dict.fromkeys([*wanted, *found])
    return tuple(name for name in names if name not in ignored and wanted.get(name) != found.get(name))
