"""What reads memories by their ids, in an order, or along what superseded what. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from ..._ids import bucket_in, bucket_of
from ...models import MemoryPage, MemoryRecord, MemoryRecords
from ...operations import Get, GetByKey, History, List, Update, WaitForIngest
from ...ports.postgres import Row, Statement
from ..base import Call, no_such_key, no_such_memory
from .rows import moment_of, to_list, to_record
from .selection import selection_values
from .sql import Catalog
from .sql.parts import scope_values

MAX_HISTORY: Final = 1000
"""How many memories a history has each way, at most; those that are nearest."""

_ORDERS: Final = {
    "newest": {"order": "m.created_at DESC, m.id DESC", "is_behind": "<", "beginning": "'infinity'"},
    "oldest": {"order": "m.created_at, m.id", "is_behind": ">", "beginning": "'-infinity'"},
}


class Seen(NamedTuple):
    """A memory before an update of what a search compares of it.

    Attributes:
        content: None if the update changes it.
        utc_offset: of `valid_from`, in minutes, where that was given with one.
    """

    content: str | None
    created_at: datetime
    valid_from: datetime | None
    utc_offset: int | None
    indexed: bool

    @property
    def moment(self) -> datetime:
        """When the memory is from."""
        return moment_of(self.valid_from or self.created_at, self.utc_offset)


class Reads:
    """The statements of `get`, `get_by_key`, `list`, `history` and `wait_for_ingest`, and what an `update` needs."""

    def __init__(self, catalog: Catalog) -> None:
        self._get = catalog.query("get")
        self._lists = {
            order: catalog.query("list" if order == "newest" else f"list_{order}", further=parts, file="list")
            for order, parts in _ORDERS.items()
        } | {"updated": catalog.query("list_updated")}
        self._history = catalog.query("history", further={"max_history": str(MAX_HISTORY)})
        self._missing = catalog.query("missing")
        self._before_update = catalog.query("before_update")
        self._get_by_key = catalog.query("get_by_key")

    def get(self, op: Get, call: Call) -> Statement[MemoryRecord]:
        """Read one memory; its validity does not matter."""

        def decode(rows: Sequence[Row]) -> MemoryRecord:
            if not rows:
                raise no_such_memory(op.id)
            _, *columns = rows[0]
            record = to_record(columns)
            call.grants.require("read", record.scope)
            return record

        values = {
            "id": op.id,
            "bucket": bucket_in(op.id),
            "users": to_list(call.users),
            "app": call.app,
            "request_id": call.request_id,
            **scope_values("readable", call.grants.read),
        }
        return self._get.bind(values, decode)

    def list(self, op: List, call: Call) -> Statement[MemoryPage]:
        """One page in an order, from the position in the cursor on."""
        selection = op.selection(call.grants)
        last = selection.behind

        def decode(rows: Sequence[Row]) -> MemoryPage:
            items = [to_record(row) for row in rows[: op.limit]]
            if len(rows) <= op.limit:
                return MemoryPage(items=items)
            return MemoryPage(items=items, next_cursor=op.cursor_after(items[-1]))

        values = {
            **selection_values(selection),
            "scope": op.scope_text,
            "last_moment": None if last is None else last.moment,
            "last_id": None if last is None else last.id,
            "limit": op.limit + 1,
            "app": call.app,
            "request_id": call.request_id,
            **scope_values("readable", call.grants.read),
        }
        return self._lists[op.order].bind(values, decode)

    def history(self, op: History, call: Call) -> Statement[MemoryRecords]:
        """A memory with what it superseded and what superseded it, the oldest first."""

        def decode(rows: Sequence[Row]) -> MemoryRecords:
            if not rows:
                raise no_such_memory(op.id)
            call.grants.require("read", rows[0][0])
            return [to_record(columns) for _, *columns in rows]

        values = {
            "id": op.id,
            "bucket": bucket_in(op.id),
            "users": to_list(call.users),
            "app": call.app,
            "request_id": call.request_id,
            **scope_values("readable", call.grants.read),
        }
        return self._history.bind(values, decode)

    def get_by_key(self, op: GetByKey, call: Call) -> Statement[MemoryRecord]:
        """Read the memory that has a key; its validity does not matter."""

        def decode(rows: Sequence[Row]) -> MemoryRecord:
            if not rows:
                raise no_such_key(op.key)
            return to_record(rows[0])

        values = {
            "bucket": bucket_of(op.user_id),
            "user_id": op.user_id,
            "scope": op.scope,
            "key": op.key,
            "app": call.app,
            "request_id": call.request_id,
            **scope_values("readable", call.grants.read),
        }
        return self._get_by_key.bind(values, decode)

    def before_update(self, op: Update, call: Call) -> Statement[Seen | None]:
        """Read what an update of the content or of the date depends on; None if there is no such memory."""
        values = {
            "id": op.id,
            "bucket": bucket_in(op.id),
            "users": to_list(call.users),
            "with_content": "content" not in op.changes,
        }
        return self._before_update.bind(values, lambda rows: Seen(*rows[0]) if rows else None)

    def missing(self, op: WaitForIngest) -> Statement[Sequence[str]]:
        """Those of the ids that name no memory of the user."""
        values = {"user_id": op.user_id, "bucket": bucket_of(op.user_id), "ids": [*op.ids]}
        return self._missing.bind(values, lambda rows: sorted(rows[0][0]))
