"""The audit log: the statement that reads it. The statements of the other verbs write their own entries, see `.sql`."""

from __future__ import annotations

from typing import Any, Final

from ..._ids import bucket_of
from ...models import AuditEntries, AuditEntry
from ...operations import Audit
from ...ports.postgres import Statement
from ..base import Call
from .sql import Catalog
from .sql.parts import scope_values

_FIELDS: Final = ("timestamp", "app", "action", "memory_id", "scope", "request_id")


class AuditLog:
    """What the audit log is asked."""

    def __init__(self, catalog: Catalog) -> None:
        self._audit = catalog.query("audit")

    def audit(self, op: Audit, call: Call) -> Statement[AuditEntries]:
        """A page of a user's log, the newest entries first."""
        before, before_id = op.behind or (None, None)
        values = {
            "bucket": bucket_of(op.user_id),
            "user_id": op.user_id,
            "app": op.app,
            "since": op.since,
            "before": before,
            "before_id": before_id,
            "limit": op.limit + 1,
            **scope_values("readable", call.grants.read),
        }
        return self._audit.bind(values, lambda rows: op.page([_entry(*row) for row in rows]))


def _entry(number: int, *fields: Any) -> tuple[int, AuditEntry]:
    return number, AuditEntry(**dict(zip(_FIELDS, fields, strict=True)))
