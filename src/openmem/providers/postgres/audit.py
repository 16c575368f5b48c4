"""The audit log: the statement that reads it. The statements of the other verbs write their own entries, see `.sql`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..._ids import bucket_of
from ...models import AuditEntries, AuditEntry
from ...operations import Audit
from ...ports.postgres import Row, Statement
from ..base import Call
from .sql import Catalog
from .sql.parts import scope_values

_FIELDS: Final = ("timestamp", "app", "action", "memory_id", "scope", "request_id")


class AuditLog:
    """What the audit log is asked."""

    def __init__(self, catalog: Catalog) -> None:
        self._audit = catalog.query("audit")

    def audit(self, op: Audit, call: Call) -> Statement[AuditEntries]:
        """The newest entries of a user's log."""
        values = {
            "bucket": bucket_of(op.user_id),
            "user_id": op.user_id,
            "app": op.app,
            "since": op.since,
            "limit": op.limit,
            **scope_values("readable", call.grants.read),
        }
        return self._audit.bind(values, _entries)


def _entries(rows: Sequence[Row]) -> AuditEntries:
    return [AuditEntry(**dict(zip(_FIELDS, row, strict=True))) for row in rows]
