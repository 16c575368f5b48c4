"""What stores many memories at once, by COPY. Pure.

The memories of an `add_many` or a `restore` may be of many users. They are stored batch by batch in one transaction,
each with its id and its ordinal, which are counted here from the ordinals of the users' newest memories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

from ..._ids import bucket_in, bucket_of, new_memory_ids
from ...analysis import VERSION, MemoryTerms
from ...models import MemoryRecord, MemoryRecords
from ...operations import Add, AddMany, Operation, RestoredMemory
from ...operations.vectors import StoredVector, StoredVectors
from ...ports.models import Vectors
from ...ports.postgres import Copy, Row, Statement
from ..base import Call
from ..idempotency import hashed, key_reused
from . import binary
from .lexemes import term_ids
from .rows import to_record, values_of
from .sql import Catalog
from .sql.parts import RECORD, scope_values
from .writes import check_superseded

BATCH_MEMORIES: Final = 500
BATCH_CHARACTERS: Final = 250_000

_RECEIVED: Final[Mapping[str, Callable[[Any], bytes]]] = {
    "id": binary.text,
    "bucket": binary.small_number,
    "ordinal": binary.whole_number,
    "content": binary.text,
    "user_id": binary.text,
    "created_at": binary.timestamp,
    "scope": binary.text,
    "tags": binary.text_array,
    "source": binary.text,
    "confidence": binary.number,
    "valid_from": binary.timestamp,
    "valid_to": binary.timestamp,
    "supersedes": binary.text_array,
    "embedding_model": binary.text,
    "extensions": binary.text,
    "embedding": binary.half_vector,
    "terms": binary.sparse_vector,
    "analysis": binary.small_number,
    "utc_offset": binary.small_number,
    "metadata": binary.jsonb,
    "key": binary.text,
    "version": binary.whole_number,
    "updated_at": binary.timestamp,
    "expires_at": binary.timestamp,
    "indexed": binary.boolean,
}
"""The columns that COPY fills, and how PostgreSQL receives their values in binary."""

_ENTRY: Final = ("bucket", "user_id", "app", "action", "memory_id", "scope", "request_id")


class New(NamedTuple):
    """A memory that is to be stored, and what it has besides the arguments of `add`.

    Attributes:
        ordinal: its position among the memories of its user.
    """

    op: Add
    id: str
    ordinal: int
    created_at: datetime
    updated_at: datetime | None = None
    version: int = 1

    @property
    def moment(self) -> datetime:
        """When it is from."""
        return self.op.valid_from or self.created_at


class Batch(NamedTuple):
    """Some memories, ready to be stored."""

    rows: Copy
    records: MemoryRecords


class Batches:
    """The statements of `add_many` and `restore`."""

    def __init__(self, catalog: Catalog) -> None:
        self._schema = catalog.schema
        self._transaction_time = catalog.query("transaction_time")
        self._last_ordinals = catalog.query("last_ordinals")
        self._add_many_once = catalog.query("add_many_once")
        self._find = catalog.query("find_many")
        self._stored_vectors = catalog.query("stored_vectors")
        self._remove_expired = catalog.query("remove_expired")
        self._free_keys = catalog.query("free_keys")
        self._close_superseded = catalog.query("close_superseded")

    def transaction_time(self) -> Statement[datetime]:
        """The time of the transaction."""
        return self._transaction_time.bind({}, lambda rows: cast(datetime, rows[0][0]))

    def last_ordinals(self, user_ids: Sequence[str]) -> Statement[dict[str, int]]:
        """The ordinals of users' newest memories, 0 for none."""
        values = {"user_ids": list(user_ids), "buckets": [bucket_of(user_id) for user_id in user_ids]}
        return self._last_ordinals.bind(values, lambda rows: {str(row[0]): int(row[1]) for row in rows})

    def batch(
        self,
        memories: Sequence[New],
        model: str,
        vectors: Vectors,
        terms: Sequence[MemoryTerms],
    ) -> Batch:
        """Memories to be copied, and their records.

        Args:
            vectors, terms: of those that a search can find.
        """
        stored = [
            values_of(new.id, new.op, model)
            | {
                "bucket": bucket_of(new.op.user_id),
                "ordinal": new.ordinal,
                "created_at": new.created_at,
                "updated_at": new.updated_at,
                "version": new.version,
            }
            for new in memories
        ]
        read = zip(vectors, terms, strict=True)
        received = (
            [None if row[column] is None else receive(row[column]) for column, receive in _RECEIVED.items()]
            for row in (values | (_read(*next(read)) if values["indexed"] else _NOT_READ) for values in stored)
        )
        rows = Copy(self._schema, "memories", tuple(_RECEIVED), binary.copy_payload(received))
        return Batch(rows, [to_record([values[column] for column in RECORD]) for values in stored])

    def add_many_once(self, op: AddMany, ids: Sequence[str], call: Call) -> Statement[Sequence[str]]:
        """Let the call's idempotency key stand for new memories, unless it stands for others.

        Returns:
            The ids that it stands for: `ids`, or those of an equal `add_many` before.
        """
        assert call.idempotency_key is not None
        user_id, fingerprint = op.records[0].user_id, op.fingerprint

        def decode(rows: Sequence[Row]) -> Sequence[str]:
            memory_ids, found = rows[0]
            if found != fingerprint:
                raise key_reused()
            return cast("Sequence[str]", memory_ids)

        values = {
            "bucket": bucket_of(user_id),
            "user_id": user_id,
            "idempotency_key": hashed(call.idempotency_key),
            "fingerprint": fingerprint,
            "ids": list(ids),
        }
        return self._add_many_once.bind(values, decode)

    def remove_expired(self, ids: Sequence[str]) -> Statement[None]:
        """Remove those of some memories that have expired."""
        return self._remove_expired.bind(_values_of_ids(ids), lambda rows: None)

    def find(self, ids: Sequence[str]) -> Statement[dict[str, MemoryRecord]]:
        """Those of some memories that are there, by id."""

        def decode(rows: Sequence[Row]) -> dict[str, MemoryRecord]:
            records = map(to_record, rows)
            return {record.id: record for record in records}

        return self._find.bind(_values_of_ids(ids), decode)

    def stored_vectors(self, op: StoredVectors) -> Statement[dict[str, StoredVector]]:
        """The vectors of some memories of a user, by id."""
        values = {"ids": list(op.ids), "bucket": bucket_of(op.user_id), "user_id": op.user_id}
        return self._stored_vectors.bind(
            values, lambda rows: {str(id): StoredVector(str(model), vector) for id, model, vector in rows}
        )

    def free_keys(self, memories: Sequence[New]) -> Statement[frozenset[int]]:
        """Take the keys of new memories from those that have expired.

        Returns:
            The positions of new memories whose keys other memories have, from 0.
        """
        values = {
            "ids": [new.id for new in memories],
            "buckets": [bucket_of(new.op.user_id) for new in memories],
            "user_ids": [new.op.user_id for new in memories],
            "keys": [new.op.key for new in memories],
            "scopes": [new.op.scope for new in memories],
        }
        return self._free_keys.bind(values, lambda rows: frozenset(row[0] - 1 for row in rows))

    def log(self, action: str, records: MemoryRecords, call: Call) -> Copy:
        """The audit entries of what stored memories, in their order."""
        entries = (
            (
                binary.small_number(bucket_of(record.user_id)),
                *map(_text, (record.user_id, _app_of(record, call), action, record.id, record.scope, call.request_id)),
            )
            for record in records
        )
        return Copy(self._schema, "audit_log", _ENTRY, binary.copy_payload(entries))

    def close_superseded(self, op: AddMany, call: Call) -> Statement[Mapping[str, bool]]:
        """Close the validity of the memories that those of an `add_many` supersede.

        Returns:
            Whether the caller may read each of them, by id.
        """
        named = [(add, id) for add in op.records for id in add.supersedes or ()]

        def decode(rows: Sequence[Row]) -> Mapping[str, bool]:
            found = {(user_id, id): has_ended for user_id, id, has_ended, _ in rows if has_ended is not None}

            def check(part: Operation) -> None:
                assert isinstance(part, Add)
                ended = {id: found.get((part.user_id, id)) for id in part.supersedes or ()}
                unknown = [id for id, has_ended in ended.items() if has_ended is None]
                already_ended = [] if part.supersede_ended else [id for id, has_ended in ended.items() if has_ended]
                check_superseded(unknown, already_ended)

            op.check_each(check)
            return {str(id): bool(is_readable) for _, id, _, is_readable in rows}

        values = {
            "buckets": [bucket_of(add.user_id) for add, _ in named],
            "user_ids": [add.user_id for add, _ in named],
            "supersedes": [id for _, id in named],
            "valid_from": [add.valid_from for add, _ in named],
            **scope_values("granted", call.grants.write),
            **scope_values("readable", call.grants.read),
        }
        return self._close_superseded.bind(values, decode)


def _text(value: str | None) -> bytes | None:
    return None if value is None else binary.text(value)


def _app_of(record: MemoryRecord, call: Call) -> str | None:
    """The app that an audit entry of a memory names: the caller's name, else what the memory's source says."""
    if call.app is not None or record.source is None:
        return call.app
    return record.source.app


def _values_of_ids(ids: Sequence[str]) -> dict[str, object]:
    return {"ids": list(ids), "buckets": [bucket_in(id) for id in ids]}


def _read(vector: Sequence[float], terms: MemoryTerms) -> dict[str, object]:
    return {"embedding": vector, "terms": term_ids(terms), "analysis": VERSION}


_NOT_READ: Final[dict[str, object]] = dict.fromkeys(("embedding", "terms", "analysis"))


def new_memories(adds: Sequence[Add], last_ordinals: Mapping[str, int], created_at: datetime) -> list[New]:
    """Memories to be added, with ids and ordinals that ascend among those of one user.

    Args:
        last_ordinals: of the users' newest memories, by user.
    """
    ordinals = dict(last_ordinals)
    memories: list[New] = []
    for id, add in zip(new_memory_ids([add.user_id for add in adds]), adds, strict=True):
        ordinals[add.user_id] += 1
        memories.append(New(add, id, ordinals[add.user_id], created_at))
    return memories


def restored_memories(records: Sequence[RestoredMemory], last_ordinals: Mapping[str, int]) -> list[New]:
    """Memories to be restored, with ordinals in the order in which those of one user were created."""
    ordinals = dict(last_ordinals)
    memories: dict[str, New] = {}
    for record in sorted(records, key=lambda record: (record.created_at, record.id)):
        ordinals[record.user_id] += 1
        memories[record.id] = New(
            record, record.id, ordinals[record.user_id], record.created_at, record.updated_at, record.version
        )
    return [memories[record.id] for record in records]


def slices(adds: Sequence[Add]) -> Iterator[slice]:
    """Where to cut memories into batches of bounded size."""
    start = characters = 0
    for index, add in enumerate(adds):
        if index - start == BATCH_MEMORIES or (index > start and characters + len(add.content) > BATCH_CHARACTERS):
            yield slice(start, index)
            start, characters = index, 0
        characters += len(add.content)
    if start < len(adds):
        yield slice(start, len(adds))
