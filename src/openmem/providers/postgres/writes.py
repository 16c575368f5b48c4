"""What writes one memory. Pure.

Every write is one statement, hence one round trip and one transaction: the memory, the validity of those that it
supersedes, and the entry in the audit log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from ..._ids import bucket_in, bucket_of
from ...analysis import VERSION
from ...errors import InvalidRequestError
from ...models import MemoryRecord
from ...operations import Add, Delete, Update
from ...ports.postgres import Row, Statement
from ..base import Call, no_such_memory
from ..idempotency import hashed, key_reused, memory_deleted_since
from ..supersession import has_ended, unknown_superseded
from . import binary
from .additions import Addition
from .rows import to_list, to_record, values_of
from .sql import Catalog
from .sql.parts import scope_values


class AddedBefore(NamedTuple):
    """The memory that was stored under an idempotency key, and the digest of what was asked for then."""

    memory_id: str
    fingerprint: str


class Read(NamedTuple):
    """What the client read in a text.

    Attributes:
        model: the name of the model that made the vector.
        terms: the value of the column.
    """

    model: str
    vector: Sequence[float]
    terms: str


class Writes:
    """The statements of `add`, `update` and `delete`."""

    def __init__(self, catalog: Catalog) -> None:
        self._add = catalog.query("add")
        self._add_superseding = catalog.query("add_superseding")
        self._add_once = catalog.query("add_once")
        self._added_before = catalog.query("added_before")
        self._update = catalog.query("update")
        self._delete = catalog.query("delete")

    def add(self, addition: Addition, op: Add, call: Call, read: Read) -> Statement[MemoryRecord]:
        """Store a memory, and close the validity of those that it supersedes."""
        values = _values_of_new(addition, op, call, read)
        if not op.supersedes:
            return self._add.bind(values, lambda rows: to_record(rows[0]))

        def decode(rows: Sequence[Row]) -> MemoryRecord:
            unknown, already_ended, *columns = rows[0]
            check_superseded(unknown, already_ended)
            return to_record(columns)

        return self._add_superseding.bind(values | _values_of_superseding(op, call), decode)

    def add_once(self, addition: Addition, op: Add, call: Call, read: Read) -> Statement[MemoryRecord | AddedBefore]:
        """Store a memory, unless one was stored under the call's idempotency key in the last day."""
        assert call.idempotency_key is not None

        def decode(rows: Sequence[Row]) -> MemoryRecord | AddedBefore:
            unknown, already_ended, memory_id, fingerprint, *columns = rows[0]
            check_superseded(unknown, already_ended)
            return to_record(columns) if memory_id == addition.id else AddedBefore(memory_id, fingerprint)

        values = {
            **_values_of_new(addition, op, call, read),
            **_values_of_superseding(op, call),
            "idempotency_key": hashed(call.idempotency_key),
            "fingerprint": op.fingerprint,
        }
        return self._add_once.bind(values, decode)

    def added_before(self, op: Add, call: Call, added: AddedBefore) -> Statement[MemoryRecord]:
        """Read the memory of an earlier `add_once`."""

        def decode(rows: Sequence[Row]) -> MemoryRecord:
            if added.fingerprint != op.fingerprint:
                raise key_reused()
            if not rows:
                raise memory_deleted_since(added.memory_id)
            return to_record(rows[0])

        values = {
            "id": added.memory_id,
            "bucket": bucket_of(op.user_id),
            **scope_values("readable", call.grants.read),
        }
        return self._added_before.bind(values, decode)

    def update(self, op: Update, call: Call, read: Read | None) -> Statement[MemoryRecord]:
        """Change the given fields, and close the validity of the memories that this one newly supersedes.

        Args:
            read: what the new content was read as; None where the content stays.
        """

        def decode(rows: Sequence[Row]) -> MemoryRecord:
            if not rows:
                raise no_such_memory(op.id)
            scope, valid_from, unknown, already_ended, *columns = rows[0]
            call.grants.require("write", scope)
            check_superseded(unknown, already_ended)
            if op.valid_to is not None and valid_from is not None and op.valid_to < valid_from:
                raise InvalidRequestError(
                    f"valid_to: {op.valid_to.isoformat()} is before the memory's valid_from {valid_from.isoformat()}"
                )
            return to_record(columns)

        values = {
            "id": op.id,
            "bucket": bucket_in(op.id),
            "users": to_list(call.users),
            "changes": sorted(op.changes),
            "content": op.content,
            "embedding_model": None if read is None else read.model,
            **(_NOT_READ if read is None else _values_of_read(read)),
            "scope": op.scope,
            "tags": to_list(op.tags),
            "confidence": op.confidence,
            "valid_to": op.valid_to,
            "supersedes": to_list(op.supersedes or ()),
            "supersede_ended": op.supersede_ended,
            "app": call.app,
            "request_id": call.request_id,
            **scope_values("granted", call.grants.write),
            **scope_values("readable", call.grants.read),
        }
        return self._update.bind(values, decode)

    def delete(self, op: Delete, call: Call) -> Statement[None]:
        """Remove one memory."""

        def decode(rows: Sequence[Row]) -> None:
            if not rows:
                raise no_such_memory(op.id)
            call.grants.require("delete", rows[0][0])

        values = {
            "id": op.id,
            "bucket": bucket_in(op.id),
            "users": to_list(call.users),
            "app": call.app,
            "request_id": call.request_id,
            **scope_values("granted", call.grants.delete),
        }
        return self._delete.bind(values, decode)


def check_superseded(unknown: Sequence[str], already_ended: Sequence[str]) -> None:
    """Refuse a write that supersedes what is not there, or what has ended.

    Raises:
        InvalidRequestError: the user has no such memory.
        ConflictError: a memory has ended already.
    """
    if unknown:
        raise unknown_superseded(unknown)
    if already_ended:
        raise has_ended(already_ended)


def _values_of_new(addition: Addition, op: Add, call: Call, read: Read) -> dict[str, object]:
    values = values_of(addition.id, op, read.model)
    values["earlier"] = addition.earlier
    values["later"] = addition.later
    values["bucket"] = bucket_of(op.user_id)
    values |= _values_of_read(read)
    values["app"] = call.app
    values["request_id"] = call.request_id
    return values


def _values_of_read(read: Read) -> dict[str, object]:
    return {
        "embedding": binary.half_vector(read.vector),
        "terms": read.terms,
        "analysis": VERSION,
    }


_NOT_READ: Final[Mapping[str, None]] = {"embedding": None, "terms": None, "analysis": None}


def _values_of_superseding(op: Add, call: Call) -> dict[str, object]:
    return {
        "supersede_ended": op.supersede_ended,
        **scope_values("granted", call.grants.write),
        **scope_values("readable", call.grants.read),
    }
