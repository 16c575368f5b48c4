"""The verbs as values: one class per verb, with its parameters and their rules.

An operation is made at an edge (a facade, an HTTP route), is valid once it exists, and travels
unchanged to the provider. Making an invalid one raises `InvalidRequestError` naming the field.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, ClassVar, Final, Generic, Protocol

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StrictBool,
    StrictInt,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema
from typing_extensions import TypeVar

from .._cursor import decode_cursor, encode_cursor
from .._ids import new_request_id
from .._scopes import ScopeFilter
from ..access import Access, Grants
from ..call import Call
from ..errors import InvalidRequestError
from ..models import (
    AuditEntries,
    ContextBlock,
    MemoryPage,
    MemoryRecord,
    MemoryRecords,
    SearchResults,
)
from ..selection import Position, Selection
from .fields import (
    MAX_TOKEN_BUDGET,
    Extensions,
    HalfLife,
    LocalTimeInput,
    Name,
    Names,
    Progress,
    ScopePath,
    ScopePattern,
    Source,
    Tags,
    Text,
    TimeInput,
    TimeZoneName,
    UnitInterval,
    check_validity,
    repaired,
)
from .messages import InRecord, explain

R_co = TypeVar("R_co", covariant=True, default=Any)


class Operation(BaseModel, Generic[R_co]):
    """Base of the verbs: immutable, strict about types, closed to unknown fields. `R_co` is the type of the result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verb: ClassVar[str]
    access: ClassVar[Access] = "read"
    is_wire_verb: ClassVar[bool] = True
    """Whether the protocol has the verb. The others exist in Python only."""
    validate_in_thread: ClassVar[bool] = False
    """Whether validating it may take long enough to hold up an event loop."""
    alternative: ClassVar[str] = ""
    """What to do with a backend that does not have the verb."""

    def __init__(self, /, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise InvalidRequestError(explain(error), request_id=new_request_id()) from None

    @property
    def limited_text(self) -> tuple[str, str] | None:
        """The field a backend limits the length of, as (name, value)."""
        return None

    def apply(self, provider: Verbs, call: Call) -> Awaitable[R_co]:
        """Perform the operation on `provider`."""
        raise NotImplementedError(self.verb)

    def check_each(self, check: Callable[[Operation], None]) -> None:
        """Apply a check to what the operation is made of: by default to itself."""
        check(self)

    def authorize(self, grants: Grants) -> None:
        """Raise `ScopeDeniedError` if `grants` rule the operation out, whatever is stored.

        An operation on an id is also held against the scope of the memory it names, by the provider.
        """
        grants.narrow(self.access, None)


class ScopedQuery(Operation[R_co]):
    """Base of the verbs that read one user's memories within a scope."""

    user_id: Name
    scope: ScopePattern | None = None

    covers_subtree: ClassVar[bool] = False

    def scope_filter(self, grants: Grants) -> ScopeFilter | None:
        """The scopes to read: what was asked for, or all that is granted; None for no filter."""
        return grants.narrow(self.access, self.scope, subtree=self.covers_subtree)

    def selection(self, grants: Grants) -> Selection:
        """The memories to read, as far as `grants` allow.

        Raises:
            ScopeDeniedError: the scope reaches beyond the grants, or nothing at all is granted.
        """
        return Selection(self.user_id, self.scope_filter(grants), only_valid=True)

    def authorize(self, grants: Grants) -> None:
        self.scope_filter(grants)


class Add(Operation[MemoryRecord]):
    """Store one memory."""

    verb: ClassVar[str] = "add"
    access: ClassVar[Access] = "write"

    content: Text
    user_id: Name
    scope: ScopePath | None = None
    tags: Tags | None = None
    source: Source | None = None
    confidence: UnitInterval | None = None
    valid_from: LocalTimeInput | None = None
    valid_to: TimeInput | None = None
    supersedes: Names | None = None
    supersede_ended: StrictBool = False
    extensions: Extensions = {}

    @model_validator(mode="after")
    def _interval(self) -> Add:
        check_validity(self.valid_from, self.valid_to)
        return self

    @property
    def limited_text(self) -> tuple[str, str]:
        return "content", self.content

    @property
    def record_fields(self) -> dict[str, Any]:
        """The fields of the record that is asked for, extensions included, in Python's types."""
        return self.model_dump(exclude={"supersede_ended", "extensions"}) | self.extensions

    @property
    def fingerprint(self) -> str:
        """A digest that only an equal operation has, in whatever order the keys of its objects were given."""
        unsaid = None if self.supersede_ended else {"supersede_ended"}
        fields = self.model_dump(mode="json", exclude=unsaid)
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

    def authorize(self, grants: Grants) -> None:
        grants.require("write", self.scope)

    def apply(self, provider: Verbs, call: Call) -> Awaitable[MemoryRecord]:
        return provider.add(self, call)


class AddMany(Operation[MemoryRecords]):
    """Store many memories, all of them or none."""

    verb: ClassVar[str] = "add_many"
    access: ClassVar[Access] = "write"
    validate_in_thread: ClassVar[bool] = True
    alternative: ClassVar[str] = "call add for each memory, since this backend cannot store all of them or none"

    records: tuple[Add, ...]
    progress: SkipJsonSchema[Progress | None] = Field(default=None, exclude=True)

    def check_each(self, check: Callable[[Operation], None]) -> None:
        for number, record in enumerate(self.records):
            with InRecord(number):
                check(record)

    def apply(self, provider: Verbs, call: Call) -> Awaitable[MemoryRecords]:
        return provider.add_many(self, call)


class Get(Operation[MemoryRecord]):
    """Read one memory by its id."""

    verb: ClassVar[str] = "get"

    id: Name

    def apply(self, provider: Verbs, call: Call) -> Awaitable[MemoryRecord]:
        return provider.get(self, call)


class Update(Operation[MemoryRecord]):
    """Change the given fields of one memory; None clears a nullable one, `supersedes` appends."""

    verb: ClassVar[str] = "update"
    access: ClassVar[Access] = "write"

    id: Name
    content: Text = ""
    scope: ScopePath | None = None
    tags: Tags | None = None
    confidence: UnitInterval | None = None
    valid_to: TimeInput | None = None
    supersedes: Names | None = None
    supersede_ended: StrictBool = False

    @model_validator(mode="after")
    def _changes_something(self) -> Update:
        if not self.changes:
            raise ValueError("update: give at least one field to change")
        if self.id in (self.supersedes or ()):
            raise ValueError("supersedes: a memory cannot supersede itself")
        return self

    @property
    def changes(self) -> frozenset[str]:
        """Names of the fields to change."""
        return frozenset(self.model_fields_set - {"id", "supersede_ended"})

    @property
    def limited_text(self) -> tuple[str, str]:
        return "content", self.content

    def authorize(self, grants: Grants) -> None:
        super().authorize(grants)
        if "scope" in self.changes:
            grants.require("write", self.scope)

    def apply(self, provider: Verbs, call: Call) -> Awaitable[MemoryRecord]:
        return provider.update(self, call)


class Delete(Operation[None]):
    """Remove one memory for good."""

    verb: ClassVar[str] = "delete"
    access: ClassVar[Access] = "delete"

    id: Name

    def apply(self, provider: Verbs, call: Call) -> Awaitable[None]:
        return provider.delete(self, call)


class List(ScopedQuery[MemoryPage]):
    """One page of a user's memories, newest first."""

    verb: ClassVar[str] = "list"

    tag: Name | None = None
    since: TimeInput | None = None
    until: TimeInput | None = None
    limit: StrictInt = Field(default=50, ge=1, le=500)
    cursor: Annotated[str, Strict(), BeforeValidator(repaired)] | None = None

    @property
    def fingerprint(self) -> str:
        """A digest that the pages of one list share, and no list with other filters has."""
        query = self.model_dump_json(exclude={"cursor", "limit"})
        return hashlib.blake2b(query.encode(), digest_size=9).hexdigest()

    def selection(self, grants: Grants) -> Selection:
        """The memories on this page and those behind it, as far as `grants` allow.

        Raises:
            ScopeDeniedError: the scope reaches beyond the grants, or nothing at all is granted.
            InvalidRequestError: the cursor is malformed, or was made by a list with other filters.
        """
        before = None if self.cursor is None else decode_cursor(self.cursor, self.fingerprint)
        return Selection(self.user_id, self.scope_filter(grants), self.tag, self.since, self.until, before)

    def cursor_after(self, record: MemoryRecord) -> str:
        """The cursor of the page that begins behind this memory."""
        return encode_cursor(self.fingerprint, Position.of(record))

    def apply(self, provider: Verbs, call: Call) -> Awaitable[MemoryPage]:
        return provider.list(self, call)


class RankedQuery(ScopedQuery[R_co]):
    """Base of the verbs that rank one user's memories by how well they answer a query."""

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

    def apply(self, provider: Verbs, call: Call) -> Awaitable[SearchResults]:
        return provider.search(self, call)


class Context(RankedQuery[ContextBlock]):
    """The best memories for a query as one cited block of text."""

    verb: ClassVar[str] = "context"
    covers_subtree: ClassVar[bool] = True

    token_budget: StrictInt = Field(default=500, ge=1, le=MAX_TOKEN_BUDGET)

    def as_search(self, limit: int) -> ContextSearch:
        """The search whose results the text is made of: the best `limit` memories, within the same scopes."""
        fields = self.model_dump(exclude={"token_budget"})
        return ContextSearch(**fields, limit=limit)

    def apply(self, provider: Verbs, call: Call) -> Awaitable[ContextBlock]:
        return provider.context(self, call)


class ContextSearch(Search):
    """The search behind a `Context`: for what answers only, and a plain scope also takes in what is below it."""

    verb: ClassVar[str] = "context"
    covers_subtree: ClassVar[bool] = True


class Audit(Operation[AuditEntries]):
    """The newest entries of a user's audit log."""

    verb: ClassVar[str] = "audit"

    user_id: Name
    app: Name | None = None
    since: TimeInput | None = None
    limit: StrictInt = Field(default=100, ge=1, le=1000)

    def apply(self, provider: Verbs, call: Call) -> Awaitable[AuditEntries]:
        return provider.audit(self, call)


class WaitForIngest(Operation[None]):
    """Wait until memories that were accepted for later processing can be searched."""

    verb: ClassVar[str] = "wait_for_ingest"
    is_wire_verb: ClassVar[bool] = False

    ids: Names
    user_id: Name
    timeout: Annotated[float, Strict()] | None = Field(default=None, ge=0)

    def apply(self, provider: Verbs, call: Call) -> Awaitable[None]:
        return provider.wait_for_ingest(self, call)


class Reembed(Operation[int]):
    """Embed with the client's embedder every memory that another model embedded, of all users."""

    verb: ClassVar[str] = "reembed"
    access: ClassVar[Access] = "write"
    is_wire_verb: ClassVar[bool] = False

    batch_size: StrictInt = Field(default=256, ge=1, le=10_000)
    progress: Progress | None = None

    def authorize(self, grants: Grants) -> None:
        grants.require("write", None)

    def apply(self, provider: Verbs, call: Call) -> Awaitable[int]:
        return provider.reembed(self, call)


class Reindex(Operation[int]):
    """Analyse again the words of every memory that another version of the analysis read, of all users."""

    verb: ClassVar[str] = "reindex"
    access: ClassVar[Access] = "write"
    is_wire_verb: ClassVar[bool] = False

    batch_size: StrictInt = Field(default=1000, ge=1, le=10_000)
    everything: StrictBool = False
    progress: Progress | None = None

    def authorize(self, grants: Grants) -> None:
        grants.require("write", None)

    def apply(self, provider: Verbs, call: Call) -> Awaitable[int]:
        return provider.reindex(self, call)


class Verbs(Protocol):
    """What an operation is applied to: one method per verb."""

    async def add(self, op: Add, call: Call) -> MemoryRecord: ...

    async def add_many(self, op: AddMany, call: Call) -> MemoryRecords: ...

    async def get(self, op: Get, call: Call) -> MemoryRecord: ...

    async def update(self, op: Update, call: Call) -> MemoryRecord: ...

    async def delete(self, op: Delete, call: Call) -> None: ...

    async def list(self, op: List, call: Call) -> MemoryPage: ...

    async def search(self, op: Search, call: Call) -> SearchResults: ...

    async def context(self, op: Context, call: Call) -> ContextBlock: ...

    async def audit(self, op: Audit, call: Call) -> AuditEntries: ...

    async def wait_for_ingest(self, op: WaitForIngest, call: Call) -> None: ...

    async def reembed(self, op: Reembed, call: Call) -> int: ...

    async def reindex(self, op: Reindex, call: Call) -> int: ...


VERBS: Final[tuple[type[Operation], ...]] = (
    Add,
    AddMany,
    Get,
    Update,
    Delete,
    List,
    Search,
    Context,
    Audit,
    WaitForIngest,
    Reembed,
    Reindex,
)
