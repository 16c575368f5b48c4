"""Which memories a query reads: the filters of `list`, `search` and `context` as one value.

Providers that hold memories in Python ask `Selection.matches`; the PostgreSQL provider translates a selection to SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from ._scopes import ScopeFilter
from .models import MemoryRecord


class Position(NamedTuple):
    """The position of a memory in the order of `list`; the newest memory has the greatest."""

    created_at: datetime
    id: str

    @classmethod
    def of(cls, record: MemoryRecord) -> Position:
        """The position of a memory."""
        return cls(record.created_at, record.id)


@dataclass(frozen=True, slots=True)
class Selection:
    """The memories of one user that pass all of these filters. A filter that is None lets everything pass.

    Attributes:
        user_id: whose memories.
        scopes: the scopes they may have; None for any scope, or none.
        tag: a tag they must have.
        since: created at or after this time.
        until: created before this time.
        before: below this position, so older: where a cursor goes on.
        only_valid: whether they must be valid at the moment of the query.
    """

    user_id: str
    scopes: ScopeFilter | None = None
    tag: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: Position | None = None
    only_valid: bool = False

    def matches(self, record: MemoryRecord, now: datetime) -> bool:
        """Whether the memory is selected.

        Args:
            now: the moment of the query.
        """
        return (
            record.user_id == self.user_id
            and (self.scopes is None or self.scopes.matches(record.scope))
            and (self.tag is None or self.tag in (record.tags or ()))
            and (self.since is None or record.created_at >= self.since)
            and (self.until is None or record.created_at < self.until)
            and (self.before is None or Position.of(record) < self.before)
            and (not self.only_valid or is_valid(record, now))
        )


def is_valid(record: MemoryRecord, moment: datetime) -> bool:
    """Whether the memory holds at this moment: from `valid_from` on, and before `valid_to`."""
    return (record.valid_from is None or record.valid_from <= moment) and (
        record.valid_to is None or record.valid_to > moment
    )
