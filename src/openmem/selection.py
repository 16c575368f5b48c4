"""Which memories a query reads: the filters of `list`, `search`, `count` and others as one value.

Providers that hold memories in Python ask `Selection.matches`; the PostgreSQL provider translates a selection to SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias

from ._scopes import ScopeFilter
from .filters import Filter
from .models import MemoryRecord

Order: TypeAlias = Literal["newest", "oldest", "updated"]
"""The order of a list: by ``created_at``, or by when memories were last changed, the latest change first."""


class Position(NamedTuple):
    """The position of a memory in the order of `list`; the newest memory has the greatest.

    Attributes:
        moment: when it was created; in a list by changes, when it was last changed.
    """

    moment: datetime
    id: str

    @classmethod
    def of(cls, record: MemoryRecord, order: Order = "newest") -> Position:
        """The position of a memory."""
        moment = record.updated_at if order == "updated" else None
        return cls(moment or record.created_at, record.id)


@dataclass(frozen=True, slots=True)
class Selection:
    """The memories of one user that pass all of these filters. A filter that is None or empty lets everything pass.

    Memories that have expired are in no selection.

    Attributes:
        user_id: whose memories.
        scopes: the scopes they may have; None for any scope, or none.
        tag: a tag they must have.
        since: created at or after this time.
        until: created before this time.
        behind: beyond this position in `order`: where a cursor goes on.
        only_valid: whether they must be valid at the moment of the query.
        tags: tags of which they must have all.
        any_tags: tags of which they must have one.
        where: what their metadata must be like.
        app: the ``source.app`` that they must have.
        as_of: they must be valid at this time.
        only_indexed: whether they must be among those that a search can find.
        order: in which they are listed.
        ids: ids of which they must have one; None for any.
        keys: keys of which they must have one; None for any.
    """

    user_id: str
    scopes: ScopeFilter | None = None
    tag: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    behind: Position | None = None
    only_valid: bool = False
    tags: tuple[str, ...] = ()
    any_tags: tuple[str, ...] = ()
    where: Filter | None = None
    app: str | None = None
    as_of: datetime | None = None
    only_indexed: bool = False
    order: Order = "newest"
    ids: tuple[str, ...] | None = None
    keys: tuple[str, ...] | None = None

    def matches(self, record: MemoryRecord, now: datetime) -> bool:
        """Whether the memory is selected.

        Args:
            now: the moment of the query.
        """
        moment = self.as_of or (now if self.only_valid else None)
        return (
            record.user_id == self.user_id
            and not has_expired(record, now)
            and (self.scopes is None or self.scopes.matches(record.scope))
            and (self.tag is None or self.tag in (record.tags or ()))
            and (self.since is None or record.created_at >= self.since)
            and (self.until is None or record.created_at < self.until)
            and (self.behind is None or self._is_behind(Position.of(record, self.order), self.behind))
            and (moment is None or is_valid(record, moment))
            and (not self.tags or set(self.tags) <= set(record.tags or ()))
            and (not self.any_tags or not set(self.any_tags).isdisjoint(record.tags or ()))
            and (self.where is None or self.where.matches(_metadata_of(record)))
            and (self.app is None or (record.source is not None and record.source.app == self.app))
            and (record.indexed or not self.only_indexed)
            and (self.ids is None or record.id in self.ids)
            and (self.keys is None or record.key in self.keys)
        )

    def _is_behind(self, position: Position, last: Position) -> bool:
        return position > last if self.order == "oldest" else position < last


def is_valid(record: MemoryRecord, moment: datetime) -> bool:
    """Whether the memory holds at this moment: from `valid_from` on, and before `valid_to`."""
    return (record.valid_from is None or record.valid_from <= moment) and (
        record.valid_to is None or record.valid_to > moment
    )


def has_expired(record: MemoryRecord, moment: datetime) -> bool:
    """Whether no verb shows the memory any more."""
    return record.expires_at is not None and record.expires_at <= moment


def _metadata_of(record: MemoryRecord) -> dict[str, Any]:
    return {} if record.metadata is None else record.metadata
