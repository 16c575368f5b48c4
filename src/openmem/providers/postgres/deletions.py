"""What removes many memories, and all else that is stored of a user or is old. Pure.

Each statement looks at a bounded number of rows, and says where the next one goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from ..._ids import bucket_of
from ...operations import DeleteMany, ForgetUser, Purge
from ...ports.postgres import Query, Row, Statement
from ...selection import Position, Selection
from ..base import Call
from .counting import NAMED
from .selection import Kind, candidates_of, selection_values
from .sql import Catalog, parts, read

P = TypeVar("P")

BATCH_ROWS: Final = 1000
"""How many rows one statement looks at, at most."""


class Removed(NamedTuple, Generic[P]):
    """What one batch did.

    Attributes:
        rows: how many rows it removed.
        last: the row that it looked at last; None if there was none.
    """

    rows: int
    last: P | None


Step = Callable[[P | None], Statement[Removed[P]]]
"""The statement of the batch behind a row; of the first batch for None."""


class Deletions:
    """The statements of `delete_many`, `forget_user` and `purge`."""

    def __init__(self, catalog: Catalog) -> None:
        self._batch = catalog.query("delete_batch")
        self._named: dict[Kind, Query] = {
            kind: catalog.query(
                f"delete_{part}", further={"candidates": read(parts.__name__, part)}, file="delete_named"
            )
            for kind, part in NAMED.items()
        }
        self._log = None if catalog.audit == "off" else catalog.query("log_deleted_many")
        self._forget_memories = catalog.query("forget_memories")
        self._forget_keys = catalog.query("forget_keys")
        self._forget_audit_entries = catalog.query("forget_audit_entries")
        self._count_purged = catalog.query("count_purged")
        self._purge_expired = catalog.query("purge_expired")
        self._purge_expired_of_shards = catalog.query("purge_expired_of_shards")
        self._purge_ended = catalog.query("purge_ended")
        self._purge_audit = catalog.query("purge_audit")
        self._purge_keys = catalog.query("purge_keys")
        self._purge_keys_of_shards = catalog.query("purge_keys_of_shards")

    def delete_selected(self, selection: Selection) -> Step[Position]:
        """Remove the memories of a selection that names none."""
        values = selection_values(selection)

        def step(last: Position | None) -> Statement[Removed[Position]]:
            return self._batch.bind({**values, **_behind(last)}, _removed_to)

        return step

    def delete_named(self, selection: Selection) -> Sequence[Statement[int]]:
        """Remove the memories of a selection that names some, batch by batch."""
        kind, names, rest = candidates_of(selection)
        values = selection_values(rest)
        return [
            self._named[kind].bind({**values, kind: names[start : start + BATCH_ROWS]}, _count)
            for start in range(0, len(names), BATCH_ROWS)
        ]

    def log(self, op: DeleteMany, call: Call) -> Statement[None] | None:
        """Log a `delete_many`; None without an audit log."""
        if self._log is None:
            return None
        values = {
            "bucket": bucket_of(op.user_id),
            "user_id": op.user_id,
            "scope": op.scope_text,
            "app": call.app,
            "request_id": call.request_id,
        }
        return self._log.bind(values, lambda rows: None)

    def forget_memories(self, op: ForgetUser) -> Step[Position]:
        """Remove the memories of a user, also those that have expired."""
        return lambda last: self._forget_memories.bind({**_of_user(op), **_behind(last)}, _removed_to)

    def forget_keys(self, op: ForgetUser) -> Step[str]:
        """Remove the idempotency keys of a user."""
        return _step(self._forget_keys, _of_user(op), "last_key", None)

    def forget_audit_entries(self, op: ForgetUser) -> Step[object]:
        """Remove the audit entries of a user."""
        return _step(self._forget_audit_entries, _of_user(op), "last_moment", None)

    def count_purged(self, op: Purge) -> Statement[int]:
        """How many memories and audit entries a `purge` is about to remove."""
        return self._count_purged.bind({"ended_before": op.ended_before, "audit_before": op.audit_before}, _count)

    def purge_expired(self, *, is_sharded: bool = False) -> Statement[int]:
        """Remove some memories that have expired; 0 if there are no more.

        Args:
            is_sharded: whether the tables are divided over several nodes.
        """
        query = self._purge_expired_of_shards if is_sharded else self._purge_expired
        return query.bind({"limit": BATCH_ROWS}, _count)

    def purge_keys(self, *, is_sharded: bool = False) -> Statement[int]:
        """Remove some idempotency keys whose lifetime is over; 0 if there are no more.

        Args:
            is_sharded: whether the tables are divided over several nodes.
        """
        query = self._purge_keys_of_shards if is_sharded else self._purge_keys
        return query.bind({"limit": BATCH_ROWS}, _count)

    def purge_ended(self, op: Purge) -> Step[str]:
        """Remove the memories whose validity ended before a moment."""
        values = {"ended_before": op.ended_before, "limit": BATCH_ROWS}
        return _step(self._purge_ended, values, "after_id", "")

    def purge_audit(self, op: Purge) -> Step[int]:
        """Remove the audit entries from before a moment."""
        values = {"audit_before": op.audit_before, "limit": BATCH_ROWS}
        return _step(self._purge_audit, values, "after_number", 0)


def _of_user(op: ForgetUser) -> dict[str, object]:
    return {"bucket": bucket_of(op.user_id), "user_id": op.user_id, "limit": BATCH_ROWS}


def _behind(last: Position | None) -> dict[str, object]:
    moment, id = (None, None) if last is None else last
    return {"last_moment": moment, "last_id": id, "limit": BATCH_ROWS}


def _step(query: Query, values: Mapping[str, object], parameter: str, first: object) -> Step[P]:
    """Batches whose place is one value.

    Args:
        parameter: what has the value.
        first: its value for the first batch.
    """

    def decode(rows: Sequence[Row]) -> Removed[P]:
        return Removed(int(rows[0][0]), rows[0][1]) if rows else Removed(0, None)

    return lambda last: query.bind({**values, parameter: first if last is None else last}, decode)


def _removed_to(rows: Sequence[Row]) -> Removed[Position]:
    return Removed(int(rows[0][0]), Position(*rows[0][1:])) if rows else Removed(0, None)


def _count(rows: Sequence[Row]) -> int:
    return int(rows[0][0])
