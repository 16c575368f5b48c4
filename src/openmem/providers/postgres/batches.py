"""What stores many memories at once, by COPY. Pure.

The memories of an `add_many` may be of many users. They are stored batch by batch in one transaction, each with its id
and its ordinal, which are counted here from the ordinals of the users' newest memories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

from ..._ids import bucket_in, bucket_of, new_memory_ids
from ...analysis import VERSION, MemoryTerms
from ...models import MemoryRecords
from ...operations import Add, AddMany, Operation
from ...ports.models import Vectors
from ...ports.postgres import Copy, Row, Statement
from ..base import Call
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
    "expires_at": binary.timestamp,
    "indexed": binary.boolean,
}
"""The columns that COPY fills, and how PostgreSQL receives their values in binary."""


class NewKey(NamedTuple):
    """What a new memory is given: its id, and its ordinal among the memories of its user."""

    id: str
    ordinal: int


class Batch(NamedTuple):
    """Some memories of an `add_many`, ready to be stored."""

    rows: Copy
    records: MemoryRecords


class Batches:
    """The statements of `add_many`."""

    def __init__(self, catalog: Catalog) -> None:
        self._schema = catalog.schema
        self._transaction_time = catalog.query("transaction_time")
        self._last_ordinals = catalog.query("last_ordinals")
        self._log_added = catalog.query("log_added")
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
        keys: Sequence[NewKey],
        ops: Sequence[Add],
        model: str,
        vectors: Vectors,
        terms: Sequence[MemoryTerms],
        created_at: datetime,
    ) -> Batch:
        """Memories to be copied, and their records."""
        stored = [
            values_of(key.id, op, model)
            | {
                "bucket": bucket_of(op.user_id),
                "ordinal": key.ordinal,
                "created_at": created_at,
                "updated_at": None,
                "version": 1,
            }
            for key, op in zip(keys, ops, strict=True)
        ]
        received = (
            [None if row[column] is None else receive(row[column]) for column, receive in _RECEIVED.items()]
            for row in (
                {**values, "embedding": vector, "terms": term_ids(found), "analysis": VERSION}
                for values, vector, found in zip(stored, vectors, terms, strict=True)
            )
        )
        rows = Copy(self._schema, "memories", tuple(_RECEIVED), binary.copy_payload(received))
        return Batch(rows, [to_record([values[column] for column in RECORD]) for values in stored])

    def log_added(self, ids: Sequence[str], call: Call) -> Statement[None]:
        """Log the addition of memories, in their order."""
        values = {
            "ids": list(ids),
            "buckets": [bucket_in(id) for id in ids],
            "app": call.app,
            "request_id": call.request_id,
        }
        return self._log_added.bind(values, lambda rows: None)

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


def new_keys(adds: Sequence[Add], last_ordinals: Mapping[str, int]) -> list[NewKey]:
    """Ids and ordinals, ascending among the memories of one user.

    Args:
        last_ordinals: of the users' newest memories, by user.
    """
    ordinals = dict(last_ordinals)
    keys: list[NewKey] = []
    for id, add in zip(new_memory_ids([add.user_id for add in adds]), adds, strict=True):
        ordinals[add.user_id] += 1
        keys.append(NewKey(id, ordinals[add.user_id]))
    return keys


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
