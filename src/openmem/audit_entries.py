"""What the audit log holds, and a page of it."""

from __future__ import annotations

from collections.abc import Iterable

from .wire_model import Timestamp, WireModel


class AuditEntry(WireModel):
    """One call of a verb, as the backend recorded it.

    Attributes:
        timestamp: when it was made, timezone-aware and in UTC.
        app: the calling application: the client's ``app``, else the memory's ``source.app``.
        action: the verb, such as ``add`` or ``search``.
        memory_id: the memory that was written or read by its id; None for `list`, `search` and `context`.
        scope: scope of that memory, or the one that was asked for.
        request_id: id of the call, the same as on its errors; over HTTP the ``X-Request-Id``.
    """

    timestamp: Timestamp
    app: str | None = None
    action: str
    memory_id: str | None = None
    scope: str | None = None
    request_id: str | None = None


class AuditEntries(list[AuditEntry]):
    """Entries of a user's audit log, the newest first.

    Attributes:
        next_cursor: what `audit` takes as ``cursor`` for the entries before these, opaque; None if there are none, or
            if the backend has no pages.
    """

    def __init__(self, entries: Iterable[AuditEntry] = (), next_cursor: str | None = None) -> None:
        super().__init__(entries)
        self.next_cursor = next_cursor
