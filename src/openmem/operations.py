"""The verbs as values: one class per verb, with its parameters and their rules.

An operation is made at an edge (a facade, an HTTP route), is valid once it exists, and travels
unchanged to the provider. Making an invalid one raises `InvalidRequestError` naming the field.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    NotRequired,
    Protocol,
    TypeAlias,
    TypedDict,
    TypeVar,
)

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StrictBool,
    StrictInt,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from ._cursor import decode_cursor, encode_cursor
from ._ids import new_request_id
from ._scopes import MAX_SCOPE_LENGTH, ScopeFilter, check_path, check_pattern
from ._suggestions import closest
from ._text import MAX_NAME_LENGTH, check_text
from .access import Access, Grants
from .call import Call
from .errors import InvalidRequestError, OMPError
from .models import (
    AuditEntries,
    ContextBlock,
    MemoryPage,
    MemoryRecord,
    MemoryRecords,
    MemorySource,
    SearchResults,
    Timestamp,
)
from .selection import Position, Selection

R_co = TypeVar("R_co", covariant=True)

MAX_TAGS: Final = 128
MAX_JSON_DEPTH: Final = 32
MAX_INTEGER_DIGITS: Final = 640
"""Digits of a whole number in JSON. Python writes and reads as many whatever its own limit is set to."""
MAX_TOKEN_BUDGET: Final = 2**53 - 1
"""The greatest whole number that every JSON reader takes exactly."""
_INTEGER_BOUND: Final = 10**MAX_INTEGER_DIGITS
_LED_BY_FIELD = re.compile(r"[a-z_]+: ")
_EXTENSION_KEY = re.compile(r"x-[a-z0-9][a-z0-9_-]*")


class Unset:
    """The type of `UNSET`, which tells "not given" from an explicit None."""

    def __repr__(self) -> str:
        return "<unset>"


UNSET: Final = Unset()


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= 80 else text[:77] + "…"


def _repaired(value: object) -> object:
    return check_text(value) if isinstance(value, str) else value


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; give some text")
    return text


def _moment(value: object) -> object:
    if isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str):
            return datetime.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError(f"{_shown(value)} is not a time; pass a datetime, or a string such as '2026-01-31T12:00:00Z'")


def _items(value: object) -> object:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Sequence):
        raise ValueError(f"{_shown(value)} is not a list of strings")
    return tuple(value)


def _unit(value: float) -> float:
    if math.isnan(value) or not 0.0 <= value <= 1.0:
        raise ValueError(f"{value} is not between 0 and 1")
    return value


def _source(value: object) -> object:
    if isinstance(value, MemorySource):
        return check_json(value.to_wire())
    if isinstance(value, Mapping):
        return check_json(dict(value))
    raise ValueError(f"{_shown(value)} is not a MemorySource; pass one, or a dict with app, type, ref")


def check_json(value: object, depth: int = 0) -> Any:
    """`value` as JSON has it, with text as `check_text` returns it.

    Raises:
        ValueError: it cannot be stored as JSON without loss.
    """
    if depth > MAX_JSON_DEPTH:
        raise ValueError(f"is nested deeper than {MAX_JSON_DEPTH} levels")
    match value:
        case None | bool():
            return value
        case int():
            if not -_INTEGER_BOUND < value < _INTEGER_BOUND:
                raise ValueError(f"holds a whole number of more than {MAX_INTEGER_DIGITS} digits; pass it as text")
            return value
        case str():
            return check_text(value)
        case float() if math.isfinite(value):
            return value
        case dict():
            members: dict[str, Any] = {}
            for key, item in value.items():
                if not isinstance(key, str):
                    raise ValueError(f"has the key {_shown(key)}; JSON keys are strings")
                name = check_text(key)
                if name in members:
                    raise ValueError(f"has the key {_shown(name)} twice, once as a pair of surrogates; leave one out")
                members[name] = check_json(item, depth + 1)
            return members
        case list() | tuple():
            return [check_json(item, depth + 1) for item in value]
    raise ValueError(f"holds {_shown(value)}, which JSON cannot express")


def _extensions(value: dict[str, Any]) -> dict[str, Any]:
    extensions: dict[str, Any] = {}
    for key, item in value.items():
        if not _EXTENSION_KEY.fullmatch(key):
            meant = closest(key, _ADD_ARGUMENTS, min_similarity=0.75)
            hint = "" if meant is None else f"; did you mean {meant!r}?"
            raise ValueError(
                f"{_shown(key)} is not a field of this verb{hint}; extensions are named 'x-<provider>', as in 'x-mem0'"
            )
        try:
            extensions[key] = check_json(item)
        except ValueError as error:
            raise ValueError(f"{key!r} {error}") from None
    return json.loads(json.dumps(extensions)) if extensions else extensions


Progress: TypeAlias = Callable[[int, int], None]
"""Called with the memories done and the memories there are, as long work goes on."""

Text = Annotated[str, Strict(), BeforeValidator(_repaired), AfterValidator(_not_blank)]
Name = Annotated[Text, StringConstraints(max_length=MAX_NAME_LENGTH)]
ScopePath = Annotated[
    str,
    Strict(),
    BeforeValidator(_repaired),
    StringConstraints(max_length=MAX_SCOPE_LENGTH),
    AfterValidator(check_path),
]
ScopePattern = Annotated[
    str,
    Strict(),
    BeforeValidator(_repaired),
    StringConstraints(max_length=MAX_SCOPE_LENGTH),
    AfterValidator(check_pattern),
]
Names = Annotated[tuple[Name, ...], BeforeValidator(_items)]
Tags = Annotated[Names, Field(max_length=MAX_TAGS)]
Moment = Annotated[Timestamp, BeforeValidator(_moment)]
UnitInterval = Annotated[float, Strict(), AfterValidator(_unit)]
Source = Annotated[MemorySource, BeforeValidator(_source)]
Extensions = Annotated[dict[str, Any], AfterValidator(_extensions)]


class Verb(Protocol[R_co]):
    """What the core needs of an operation: its name, its access, and how to apply it."""

    verb: ClassVar[str]
    access: ClassVar[Access]

    def on(self, provider: Verbs, call: Call) -> Awaitable[R_co]:
        """Perform the operation on `provider`."""
        ...


class Operation(BaseModel):
    """Base of the verbs: immutable, strict about types, closed to unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verb: ClassVar[str]
    access: ClassVar[Access] = "read"
    in_protocol: ClassVar[bool] = True
    is_large: ClassVar[bool] = False
    """Whether checking it may take long enough to hold up an event loop."""
    otherwise: ClassVar[str] = ""
    """What to do with a backend that does not have the verb."""

    def __init__(self, /, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise InvalidRequestError(_explain(error), request_id=new_request_id()) from None

    @property
    def text(self) -> tuple[str, str] | None:
        """The field a backend limits the length of, as (name, value)."""
        return None

    def check_each(self, check: Callable[[Operation], None]) -> None:
        """Apply a check to what the operation is made of: by default to itself."""
        check(self)

    def authorize(self, grants: Grants) -> None:
        """Raise `ScopeDeniedError` if `grants` rule the operation out, whatever is stored.

        An operation on an id is also held against the scope of the memory it names, by the provider.
        """
        grants.narrow(self.access, None)


class ScopedQuery(Operation):
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


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    match first["type"]:
        case "value_error":
            pass
        case "extra_forbidden":
            message = "is not a field of this verb"
        case "missing":
            message = "is required"
        case _:
            message = f"{_shown(first['input'])} is refused: {message[0].lower()}{message[1:]}"
    return f"{field}: {message}" if field else message


def _check_validity(valid_from: datetime | None, valid_to: datetime | None) -> None:
    if valid_from is not None and valid_to is not None and valid_to < valid_from:
        raise ValueError(f"valid_to: {valid_to.isoformat()} is before valid_from {valid_from.isoformat()}")


class Add(Operation):
    """Store one memory."""

    verb: ClassVar[str] = "add"
    access: ClassVar[Access] = "write"

    content: Text
    user_id: Name
    scope: ScopePath | None = None
    tags: Tags | None = None
    source: Source | None = None
    confidence: UnitInterval | None = None
    valid_from: Moment | None = None
    valid_to: Moment | None = None
    supersedes: Names | None = None
    supersede_ended: StrictBool = False
    extensions: Extensions = {}

    @model_validator(mode="after")
    def _interval(self) -> Add:
        _check_validity(self.valid_from, self.valid_to)
        return self

    @property
    def text(self) -> tuple[str, str]:
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

    def on(self, provider: Verbs, call: Call) -> Awaitable[MemoryRecord]:
        return provider.add(self, call)


class MemoryInput(TypedDict):
    """The arguments of `add` as a mapping. Extensions, which are named ``x-<provider>``, may be added."""

    content: str
    user_id: str
    scope: NotRequired[str | None]
    tags: NotRequired[Sequence[str] | None]
    source: NotRequired[MemorySource | Mapping[str, Any] | None]
    confidence: NotRequired[float | None]
    valid_from: NotRequired[datetime | str | None]
    valid_to: NotRequired[datetime | str | None]
    supersedes: NotRequired[Sequence[str] | None]
    supersede_ended: NotRequired[bool]


class AddMany(Operation):
    """Store many memories, all of them or none."""

    verb: ClassVar[str] = "add_many"
    access: ClassVar[Access] = "write"
    is_large: ClassVar[bool] = True
    otherwise: ClassVar[str] = "call add for each memory, since this backend cannot store all of them or none"

    records: tuple[Add, ...]
    progress: SkipJsonSchema[Progress | None] = Field(default=None, exclude=True)

    @classmethod
    def of(cls, records: Sequence[object], progress: Progress | None) -> AddMany:
        """The operation of mappings with the arguments of `add`.

        Raises:
            InvalidRequestError: one is wrong; the message names its place, as in ``records[17].content``.
        """
        adds: list[Add] = []
        for number, record in enumerate(records):
            with InRecord(number):
                adds.append(_add_of(record))
        return cls(records=tuple(adds), progress=progress)

    def check_each(self, check: Callable[[Operation], None]) -> None:
        for number, record in enumerate(self.records):
            with InRecord(number):
                check(record)

    def on(self, provider: Verbs, call: Call) -> Awaitable[MemoryRecords]:
        return provider.add_many(self, call)


def read_records(records: Iterable[object]) -> tuple[object, ...]:
    """What `records` holds.

    Raises:
        InvalidRequestError: it is one mapping or text, or not iterable.
    """
    if isinstance(records, str | bytes | Mapping) or not isinstance(records, Iterable):
        raise InvalidRequestError(
            f"records: {_shown(records)} is not a list of memories; pass mappings with the arguments of add",
            request_id=new_request_id(),
        )
    return tuple(records)


class InRecord:
    """Within this block the message of an `OMPError` names the record it is about."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OMPError):
            joint = "." if _LED_BY_FIELD.match(error.message) else ": "
            error.message = f"records[{self._number}]{joint}{error.message}"
            error.args = (error.message,)


def _add_of(record: object) -> Add:
    if not isinstance(record, Mapping):
        raise InvalidRequestError(
            f"{_shown(record)} is not a mapping; give the arguments of add, as in {{'content': …, 'user_id': …}}",
            request_id=new_request_id(),
        )
    fields = {name: value for name, value in record.items() if name in _ADD_ARGUMENTS}
    extensions = {name: value for name, value in record.items() if name not in _ADD_ARGUMENTS}
    for name in extensions:
        if not isinstance(name, str):
            raise InvalidRequestError(
                f"has the key {_shown(name)}, which is no argument of add", request_id=new_request_id()
            )
    return Add(**fields, extensions=extensions)


_ADD_ARGUMENTS: Final = frozenset(Add.model_fields) - {"extensions"}


class Get(Operation):
    """Read one memory by its id."""

    verb: ClassVar[str] = "get"

    id: Name

    def on(self, provider: Verbs, call: Call) -> Awaitable[MemoryRecord]:
        return provider.get(self, call)


class Update(Operation):
    """Change the given fields of one memory; None clears a nullable one, `supersedes` appends."""

    verb: ClassVar[str] = "update"
    access: ClassVar[Access] = "write"

    id: Name
    content: Text = ""
    scope: ScopePath | None = None
    tags: Tags | None = None
    confidence: UnitInterval | None = None
    valid_to: Moment | None = None
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
    def text(self) -> tuple[str, str]:
        return "content", self.content

    def authorize(self, grants: Grants) -> None:
        super().authorize(grants)
        if "scope" in self.changes:
            grants.require("write", self.scope)

    def on(self, provider: Verbs, call: Call) -> Awaitable[MemoryRecord]:
        return provider.update(self, call)


class Delete(Operation):
    """Remove one memory for good."""

    verb: ClassVar[str] = "delete"
    access: ClassVar[Access] = "delete"

    id: Name

    def on(self, provider: Verbs, call: Call) -> Awaitable[None]:
        return provider.delete(self, call)


class List(ScopedQuery):
    """One page of a user's memories, newest first."""

    verb: ClassVar[str] = "list"

    tag: Name | None = None
    since: Moment | None = None
    until: Moment | None = None
    limit: StrictInt = Field(default=50, ge=1, le=500)
    cursor: Annotated[str, Strict(), BeforeValidator(_repaired)] | None = None

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

    def on(self, provider: Verbs, call: Call) -> Awaitable[MemoryPage]:
        return provider.list(self, call)


class Search(ScopedQuery):
    """The memories that best answer a query, best first."""

    verb: ClassVar[str] = "search"

    query: Text
    limit: StrictInt = Field(default=10, ge=1, le=100)
    min_score: UnitInterval | None = None

    @property
    def text(self) -> tuple[str, str]:
        return "query", self.query

    def on(self, provider: Verbs, call: Call) -> Awaitable[SearchResults]:
        return provider.search(self, call)


class Context(ScopedQuery):
    """The best memories for a query as one cited block of text."""

    verb: ClassVar[str] = "context"
    covers_subtree: ClassVar[bool] = True

    query: Text
    token_budget: StrictInt = Field(default=500, ge=1, le=MAX_TOKEN_BUDGET)

    def as_search(self, limit: int) -> ContextSearch:
        """The search whose results the text is made of: the best `limit` memories, within the same scopes."""
        return ContextSearch(query=self.query, user_id=self.user_id, scope=self.scope, limit=limit)

    @property
    def text(self) -> tuple[str, str]:
        return "query", self.query

    def on(self, provider: Verbs, call: Call) -> Awaitable[ContextBlock]:
        return provider.context(self, call)


class ContextSearch(Search):
    """The search behind a `Context`: for what answers only, and a plain scope also takes in what is below it."""

    verb: ClassVar[str] = "context"
    covers_subtree: ClassVar[bool] = True


class Audit(Operation):
    """The newest entries of a user's audit log."""

    verb: ClassVar[str] = "audit"

    user_id: Name
    app: Name | None = None
    since: Moment | None = None
    limit: StrictInt = Field(default=100, ge=1, le=1000)

    def on(self, provider: Verbs, call: Call) -> Awaitable[AuditEntries]:
        return provider.audit(self, call)


class WaitForIngest(Operation):
    """Wait until memories that were accepted for later processing can be searched."""

    verb: ClassVar[str] = "wait_for_ingest"
    in_protocol: ClassVar[bool] = False

    ids: Names
    user_id: Name
    timeout: Annotated[float, Strict()] | None = Field(default=None, ge=0)

    def on(self, provider: Verbs, call: Call) -> Awaitable[None]:
        return provider.wait_for_ingest(self, call)


class Reembed(Operation):
    """Embed with the client's embedder every memory that another model embedded, of all users."""

    verb: ClassVar[str] = "reembed"
    access: ClassVar[Access] = "write"
    in_protocol: ClassVar[bool] = False

    batch_size: StrictInt = Field(default=256, ge=1, le=10_000)
    progress: Progress | None = None

    def authorize(self, grants: Grants) -> None:
        grants.require("write", None)

    def on(self, provider: Verbs, call: Call) -> Awaitable[int]:
        return provider.reembed(self, call)


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
)
