"""The verbs that read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, Strict, StrictBool, StrictInt
from typing_extensions import TypeVar

from .._cursor import decode_cursor, decode_user_cursor, encode_cursor, encode_user_cursor, malformed_cursor
from ..access import Grants
from ..models import (
    AuditEntries,
    AuditEntry,
    ContextBlock,
    MemoryPage,
    MemoryRecord,
    MemoryRecords,
    SearchResults,
    UserPage,
)
from ..models import (
    Facets as FacetList,
)
from ..selection import Order, Position, Selection
from .fields import (
    MAX_TOKEN_BUDGET,
    FacetField,
    HalfLife,
    Name,
    Names,
    ScopePath,
    Text,
    TimeInput,
    TimeZoneName,
    UnitInterval,
    repaired,
)
from .operation import AdministrativeOperation, Operation, ScopedQuery

R_co = TypeVar("R_co", covariant=True)

Cursor = Annotated[str, Strict(), BeforeValidator(repaired)]


class Get(Operation[MemoryRecord]):
    """Read one memory by its id."""

    verb: ClassVar[str] = "get"

    id: Name
    user_id: Name | None = None


class GetByKey(Operation[MemoryRecord]):
    """Read the memory that has a key."""

    verb: ClassVar[str] = "get_by_key"

    key: Name
    user_id: Name
    scope: ScopePath | None = None

    def authorize(self, grants: Grants) -> None:
        grants.require("read", self.scope)


class List(ScopedQuery[MemoryPage]):
    """One page of a user's memories, in an order."""

    verb: ClassVar[str] = "list"

    tag: Name | None = None
    order: Order = "newest"
    limit: StrictInt = Field(default=50, ge=1, le=500)
    cursor: Cursor | None = None

    @property
    def fingerprint(self) -> str:
        """A digest that the pages of one list share, and no list with other filters has."""
        return _digest(self)

    def selection(self, grants: Grants) -> Selection:
        """The memories on this page and those behind it, as far as `grants` allow.

        Raises:
            ScopeDeniedError: the scope reaches beyond the grants, or nothing at all is granted.
            InvalidRequestError: the cursor is malformed, or was made by a list with other filters.
        """
        behind = None if self.cursor is None else decode_cursor(self.cursor, self.fingerprint)
        return replace(super().selection(grants), tag=self.tag, order=self.order, behind=behind)

    def cursor_after(self, record: MemoryRecord) -> str:
        """The cursor of the page that begins behind this memory."""
        return encode_cursor(self.fingerprint, Position.of(record, self.order))


class RankedQuery(ScopedQuery[R_co]):
    """Base of the verbs that rank one user's memories by how well they answer a query."""

    only_valid: ClassVar[bool] = True
    only_indexed: ClassVar[bool] = True

    query: Text
    timezone: TimeZoneName | None = None
    recency: HalfLife | None = None

    @property
    def limited_text(self) -> tuple[str, str]:
        return "query", self.query


class Search(RankedQuery[SearchResults]):
    """The memories that best answer a query, best first."""

    verb: ClassVar[str] = "search"

    limit: StrictInt = Field(default=10, ge=1, le=100)
    min_score: UnitInterval | None = None
    explain: StrictBool = False


class Context(RankedQuery[ContextBlock]):
    """The best memories for a query as one cited block of text."""

    verb: ClassVar[str] = "context"
    covers_subtree: ClassVar[bool] = True

    token_budget: StrictInt = Field(default=500, ge=1, le=MAX_TOKEN_BUDGET)

    def as_search(self, limit: int) -> ContextSearch:
        """The search whose results the text is made of: the best `limit` memories, within the same scopes."""
        fields = self.model_dump(exclude={"token_budget"})
        return ContextSearch(**fields, limit=limit)


class ContextSearch(Search):
    """The search behind a `Context`: for what answers only, and a plain scope also takes in what is below it."""

    verb: ClassVar[str] = "context"
    covers_subtree: ClassVar[bool] = True


class Count(ScopedQuery[int]):
    """How many memories of one user are selected."""

    verb: ClassVar[str] = "count"


class Facets(ScopedQuery[FacetList]):
    """The values of a field among the selected memories of one user, and how many have each."""

    verb: ClassVar[str] = "facets"

    by: FacetField
    limit: StrictInt = Field(default=100, ge=1, le=1000)


class History(Operation[MemoryRecords]):
    """A memory with all that it superseded and all that superseded it, the oldest first."""

    verb: ClassVar[str] = "history"

    id: Name
    user_id: Name | None = None


class Audit(Operation[AuditEntries]):
    """One page of a user's audit log, the newest entries first."""

    verb: ClassVar[str] = "audit"

    user_id: Name
    app: Name | None = None
    since: TimeInput | None = None
    limit: StrictInt = Field(default=100, ge=1, le=1000)
    cursor: Cursor | None = None

    @property
    def fingerprint(self) -> str:
        """A digest that the pages of one log share, and none with other filters has."""
        return _digest(self)

    @property
    def behind(self) -> tuple[datetime, int] | None:
        """The time and the number of the entry behind which the page begins; None for the first page.

        Raises:
            InvalidRequestError: the cursor is malformed, or was made by a log with other filters.
        """
        if self.cursor is None:
            return None
        position = decode_cursor(self.cursor, self.fingerprint)
        if not re.fullmatch(r"[0-9]{1,18}", position.id):
            raise malformed_cursor()
        return position.moment, int(position.id)

    def page(self, entries: Sequence[tuple[int, AuditEntry]]) -> AuditEntries:
        """The entries of the page.

        Args:
            entries: they, and one more if there are more, each with its number.
        """
        page = entries[: self.limit]
        if len(entries) <= self.limit:
            return AuditEntries(entry for _, entry in page)
        number, last = page[-1]
        cursor = encode_cursor(self.fingerprint, Position(last.timestamp, str(number)))
        return AuditEntries((entry for _, entry in page), cursor)


class WaitForIngest(Operation[None]):
    """Wait until memories that were accepted for later processing can be searched."""

    verb: ClassVar[str] = "wait_for_ingest"
    is_wire_verb: ClassVar[bool] = False

    ids: Names
    user_id: Name
    timeout: Annotated[float, Strict()] | None = Field(default=None, ge=0)


class Users(AdministrativeOperation[UserPage]):
    """One page of the users that have memories, in the order of their ids."""

    verb: ClassVar[str] = "users"

    prefix: Name | None = None
    limit: StrictInt = Field(default=100, ge=1, le=1000)
    cursor: Cursor | None = None

    @property
    def fingerprint(self) -> str:
        """A digest that the pages of one list share, and no list with another prefix has."""
        return _digest(self)

    @property
    def after(self) -> str:
        """The user behind whom the page begins; empty for the first page.

        Raises:
            InvalidRequestError: the cursor is malformed, or was made by a list with another prefix.
        """
        return "" if self.cursor is None else decode_user_cursor(self.cursor, self.fingerprint)

    def cursor_after(self, user_id: str) -> str:
        """The cursor of the page that begins behind this user."""
        return encode_user_cursor(self.fingerprint, user_id)


def _digest(query: Operation) -> str:
    """A digest of a query, whichever its page is."""
    return hashlib.blake2b(query.model_dump_json(exclude={"cursor", "limit"}).encode(), digest_size=9).hexdigest()
