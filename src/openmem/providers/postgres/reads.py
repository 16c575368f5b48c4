"""What reads memories by their ids or in the order of time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ..._ids import bucket_in, bucket_of
from ...models import MemoryPage, MemoryRecord
from ...operations import Get, List, WaitForIngest
from ...ports.postgres import Row, Statement
from ..base import Call, no_such_memory
from .rows import moment_of, to_list, to_record
from .sql import Catalog
from .sql.parts import scope_values


class Reads:
    """The statements of `get`, `list` and `wait_for_ingest`, and what an `update` of the content needs to know."""

    def __init__(self, catalog: Catalog) -> None:
        self._get = catalog.query("get")
        self._list = catalog.query("list")
        self._missing = catalog.query("missing")
        self._moment = catalog.query("moment")

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
        """One page, newest first, from the position in the cursor on."""
        selection = op.selection(call.grants)
        last = selection.behind

        def decode(rows: Sequence[Row]) -> MemoryPage:
            items = [to_record(row) for row in rows[: op.limit]]
            if len(rows) <= op.limit:
                return MemoryPage(items=items)
            return MemoryPage(items=items, next_cursor=op.cursor_after(items[-1]))

        values = {
            "bucket": bucket_of(op.user_id),
            "user_id": selection.user_id,
            "scope": op.scope_text,
            "tag": selection.tag,
            "since": selection.since,
            "until": selection.until,
            "last_created_at": None if last is None else last.moment,
            "last_id": None if last is None else last.id,
            "limit": op.limit + 1,
            "app": call.app,
            "request_id": call.request_id,
            **scope_values("selected", selection.scopes),
            **scope_values("readable", call.grants.read),
        }
        return self._list.bind(values, decode)

    def moment(self, id: str) -> Statement[datetime | None]:
        """When a memory is from, which never changes; None if there is no such memory."""
        return self._moment.bind(
            {"id": id, "bucket": bucket_in(id)}, lambda rows: moment_of(*rows[0]) if rows else None
        )

    def missing(self, op: WaitForIngest) -> Statement[Sequence[str]]:
        """Those of the ids that name no memory of the user."""
        values = {"user_id": op.user_id, "bucket": bucket_of(op.user_id), "ids": [*op.ids]}
        return self._missing.bind(values, lambda rows: sorted(rows[0][0]))
