"""What writes one memory. Pure.

Every write is one statement, hence one round trip and one transaction: the memory, the validity of those that it
supersedes, and the entry in the audit log.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from ..._ids import bucket_in, bucket_of
from ...analysis import VERSION
from ...errors import InvalidRequestError
from ...models import MemoryRecord
from ...operations import Add, Delete, Put, Update
from ...ports.postgres import Row, Statement
from ..base import Call, no_such_memory
from ..conflicts import key_in_use, other_version, other_version_of_key
from ..idempotency import hashed, key_reused, memory_deleted_since
from ..supersession import has_ended, unknown_superseded
from ..validity import check_order
from . import binary
from .additions import Addition
from .reads import Seen
from .rows import metadata_json, minutes, to_list, to_new_record, to_record, values_of
from .sql import Catalog
from .sql.parts import scope_values

READ_FIELDS: Final = frozenset({"content", "valid_from"})
"""Fields of which a search compares something: a text and the date that it is from."""


class AddedBefore(NamedTuple):
    """The memory that was stored under an idempotency key, and the digest of what was asked for then."""

    memory_id: str
    fingerprint: str


class Read(NamedTuple):
    """What the client read in a text.

    Attributes:
        model: the name of the model that made the vector; None without one.
        terms: the value of the column.
        moments: the first and the last moment that the words may be from, for which they were read; None if it does not
            matter what is stored.
    """

    model: str | None = None
    vector: Sequence[float] | None = None
    terms: str | None = None
    moments: tuple[datetime, datetime] | None = None


class Writes:
    """The statements of `add`, `put`, `update` and `delete`."""

    def __init__(self, catalog: Catalog) -> None:
        self._add = catalog.query("add")
        self._add_once = catalog.query("add_once")
        self._put = catalog.query("put")
        self._added_before = catalog.query("added_before")
        self._update = catalog.query("update")
        self._delete = catalog.query("delete")

    def add(self, addition: Addition, op: Add, call: Call, read: Read) -> Statement[MemoryRecord]:
        """Store a memory, and close the validity of those that it supersedes."""
        if op.key is not None:
            return self._add_with_key(op.key, addition, op, call, read)
        values = _values_of_new(addition, op, call, read)
        if not op.supersedes:
            return self._add.bind(values, lambda rows: to_new_record(values, rows[0][0]))

        def decode(rows: Sequence[Row]) -> MemoryRecord:
            unknown, already_ended, _, _, created_at, supersedes = rows[0]
            check_superseded(unknown, already_ended)
            return to_new_record({**values, "supersedes": supersedes}, created_at)

        without_key = {"idempotency_key": None, "fingerprint": None}
        return self._add_once.bind(values | _values_of_superseding(op, call) | without_key, decode)

    def _add_with_key(self, key: str, addition: Addition, op: Add, call: Call, read: Read) -> Statement[MemoryRecord]:
        def decode(rows: Sequence[Row]) -> MemoryRecord:
            unknown, already_ended, _, version, _, *columns = rows[0]
            if version is None:
                check_superseded(unknown, already_ended)
            if columns[0] is None:
                raise key_in_use(key)
            return to_record(columns)

        return self._put.bind(_values_of_put(addition, op, call, read), decode)

    def put(self, addition: Addition, op: Put, call: Call, read: Read) -> Statement[MemoryRecord | datetime | None]:
        """Store a memory under a key, in place of the one that has it.

        If nothing was stored, since the one that is there was created at another time than the words were read for,
        that moment is the result, and the words are to be read again. It is None if another write came between. Then
        the statement is to be run again.
        """

        def decode(rows: Sequence[Row]) -> MemoryRecord | datetime | None:
            unknown, already_ended, is_circular, version, present_since, *columns = rows[0]
            if op.if_version not in (None, version or 0):
                raise other_version_of_key(op.key, version or 0, op.if_version or 0)
            check_superseded(unknown, already_ended)
            if is_circular:
                raise InvalidRequestError("supersedes: a memory cannot supersede itself")
            return present_since if columns[0] is None else to_record(columns)

        values = _values_of_put(addition, op, call, read) | {
            "if_version": op.if_version,
            "keep_history": op.keep_history,
            "action": op.verb,
            "read_from": read.moments and read.moments[0],
            "read_until": read.moments and read.moments[1],
        }
        return self._put.bind(values, decode)

    def add_once(self, addition: Addition, op: Add, call: Call, read: Read) -> Statement[MemoryRecord | AddedBefore]:
        """Store a memory, unless one was stored under the call's idempotency key in the last day."""
        assert call.idempotency_key is not None

        def decode(rows: Sequence[Row]) -> MemoryRecord | AddedBefore:
            unknown, already_ended, memory_id, fingerprint, created_at, supersedes = rows[0]
            check_superseded(unknown, already_ended)
            if memory_id != addition.id:
                return AddedBefore(memory_id, fingerprint)
            return to_new_record({**values, "supersedes": supersedes}, created_at)

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

    def update(self, op: Update, call: Call, seen: Seen | None, read: Read) -> Statement[MemoryRecord | None]:
        """Change the given fields, and close the validity of the memories that this one newly supersedes.

        The result is None if nothing was changed, since the memory is not as it was seen.

        Args:
            seen: the memory that was there when `read` was made; None if no such memory was there, or it does not
                matter.
            read: what replaces what a search compares of the memory.
        """
        depends = not op.changes.isdisjoint(READ_FIELDS)

        def decode(rows: Sequence[Row]) -> MemoryRecord | None:
            if not rows:
                raise no_such_memory(op.id)
            scope, version, is_as_seen, valid_from, valid_to, unknown, already_ended, *columns = rows[0]
            call.grants.require("write", scope)
            if op.if_version not in (None, version):
                raise other_version(op.id, version, op.if_version or 0)
            check_superseded(unknown, already_ended)
            if not is_as_seen:
                return None
            check_order(op, valid_from, valid_to)
            return to_record(columns)

        values = {
            "id": op.id,
            "bucket": bucket_in(op.id),
            "users": to_list(call.users),
            "changes": sorted(op.changes),
            "content": op.content,
            "embedding_model": read.model,
            **_values_of_read(read),
            "was_seen": depends,
            "seen_content": seen and seen.content,
            "seen_indexed": seen and seen.indexed,
            "seen_valid_from": seen and seen.valid_from,
            "seen_utc_offset": seen and seen.utc_offset,
            "scope": op.scope,
            "tags": to_list(op.tags),
            "confidence": op.confidence,
            "valid_from": op.valid_from,
            "utc_offset": minutes(op.valid_from),
            "valid_to": op.valid_to,
            "metadata": None if op.metadata is None else metadata_json(op.metadata),
            "expires_at": op.expires_at,
            "if_version": op.if_version,
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
            scope, version = rows[0]
            call.grants.require("delete", scope)
            if op.if_version not in (None, version):
                raise other_version(op.id, version, op.if_version or 0)

        values = {
            "id": op.id,
            "bucket": bucket_in(op.id),
            "users": to_list(call.users),
            "if_version": op.if_version,
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
    # One text each, since drivers take their time for lists.
    values["earlier"] = ",".join(addition.earlier)
    values["later"] = ",".join(addition.later)
    values["bucket"] = bucket_of(op.user_id)
    values |= _values_of_read(read)
    values["app"] = call.app
    values["request_id"] = call.request_id
    return values


def _values_of_read(read: Read) -> dict[str, object]:
    return {
        "embedding": None if read.vector is None else binary.half_vector(read.vector),
        "terms": read.terms,
        "analysis": None if read.terms is None else VERSION,
    }


def _values_of_put(addition: Addition, op: Add, call: Call, read: Read) -> dict[str, object]:
    """Those of an `add` with a key: it stores a memory where the key is free."""
    return {
        **_values_of_new(addition, op, call, read),
        **_values_of_superseding(op, call),
        "if_version": 0,
        "keep_history": False,
        "action": Add.verb,
        "read_from": None,
        "read_until": None,
    }


def _values_of_superseding(op: Add, call: Call) -> dict[str, object]:
    return {
        "supersede_ended": op.supersede_ended,
        **scope_values("granted", call.grants.write),
        **scope_values("readable", call.grants.read),
    }
