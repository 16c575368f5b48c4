"""The verbs that write memories."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field, SkipValidation, StrictBool, StrictInt, model_validator
from pydantic.json_schema import SkipJsonSchema

from ..access import Access, Grants
from ..models import MemoryRecord, MemoryRecords, RestoredMemories
from ..selection import Selection
from .fields import (
    MAX_VERSION,
    AnyText,
    Extensions,
    LocalTimeInput,
    Metadata,
    Name,
    Names,
    Progress,
    ScopePath,
    Source,
    Tags,
    TimeInput,
    UnitInterval,
    check_content,
    check_validity,
)
from .messages import InRecord
from .operation import AdministrativeOperation, Operation, ScopedQuery
from .vectors import StoredVector

_UNSAID: Final = {"supersede_ended": False, "metadata": None, "key": None, "expires_at": None, "indexed": True}
"""Fields that a digest leaves out where they are what they are by default."""


_NO_FIELDS: Final = {"supersede_ended", "extensions", "if_version", "keep_history"}
"""Arguments of a write that are no fields of the record."""


class Add(Operation[MemoryRecord]):
    """Store one memory."""

    verb: ClassVar[str] = "add"
    access: ClassVar[Access] = "write"

    content: AnyText
    user_id: Name
    scope: ScopePath | None = None
    tags: Tags | None = None
    source: Source | None = None
    confidence: UnitInterval | None = None
    valid_from: LocalTimeInput | None = None
    valid_to: TimeInput | None = None
    supersedes: Names | None = None
    supersede_ended: StrictBool = False
    metadata: Metadata | None = None
    key: Name | None = None
    expires_at: TimeInput | None = None
    indexed: StrictBool = True
    extensions: Extensions = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Add:
        check_content(self.content, is_indexed=self.indexed)
        check_validity(self.valid_from, self.valid_to)
        return self

    @property
    def limited_text(self) -> tuple[str, str] | None:
        return ("content", self.content) if self.indexed else None

    @property
    def record_fields(self) -> dict[str, Any]:
        """The fields of the record that is asked for, extensions included, in Python's types."""
        return self.model_dump(exclude=_NO_FIELDS) | self.extensions

    @property
    def fingerprint(self) -> str:
        """A digest that only an equal operation has, in whatever order the keys of its objects were given."""
        fields = self.model_dump(mode="json")
        for name, default in _UNSAID.items():
            if fields[name] == default:
                del fields[name]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

    def authorize(self, grants: Grants) -> None:
        grants.require("write", self.scope)


class Put(Add):
    """Store a memory under a key, in place of the one that has it."""

    verb: ClassVar[str] = "put"

    key: Name
    if_version: StrictInt | None = Field(default=None, ge=0, le=MAX_VERSION)
    keep_history: StrictBool = False


class AddMany(Operation[MemoryRecords]):
    """Store many memories, all of them or none."""

    verb: ClassVar[str] = "add_many"
    access: ClassVar[Access] = "write"
    validate_in_thread: ClassVar[bool] = True
    alternative: ClassVar[str] = "call add for each memory, since this backend cannot store all of them or none"

    records: tuple[Add, ...]
    progress: SkipJsonSchema[Progress | None] = Field(default=None, exclude=True)

    @property
    def fingerprint(self) -> str:
        """A digest that only an operation with equal records in the same order has."""
        return hashlib.sha256(" ".join(record.fingerprint for record in self.records).encode()).hexdigest()

    def check_each(self, check: Callable[[Operation], None]) -> None:
        for number, record in enumerate(self.records):
            with InRecord(number):
                check(record)


_CONDITIONS: Final = {"id", "supersede_ended", "user_id", "if_version"}
"""Arguments of an update that change nothing by themselves."""


class Update(Operation[MemoryRecord]):
    """Change the given fields of one memory; None clears a nullable one, `supersedes` appends."""

    verb: ClassVar[str] = "update"
    access: ClassVar[Access] = "write"

    id: Name
    content: AnyText = ""
    scope: ScopePath | None = None
    tags: Tags | None = None
    confidence: UnitInterval | None = None
    valid_from: LocalTimeInput | None = None
    valid_to: TimeInput | None = None
    supersedes: Names | None = None
    supersede_ended: StrictBool = False
    metadata: Metadata | None = None
    expires_at: TimeInput | None = None
    user_id: Name | None = None
    if_version: StrictInt | None = Field(default=None, ge=1, le=MAX_VERSION)

    @model_validator(mode="after")
    def _changes_something(self) -> Update:
        if not self.changes:
            raise ValueError("update: give at least one field to change")
        if self.id in (self.supersedes or ()):
            raise ValueError("supersedes: a memory cannot supersede itself")
        if "content" in self.changes:
            check_content(self.content, is_indexed=False)
        if {"valid_from", "valid_to"} <= self.changes:
            check_validity(self.valid_from, self.valid_to)
        return self

    @property
    def changes(self) -> frozenset[str]:
        """Names of the fields to change."""
        return frozenset(self.model_fields_set - _CONDITIONS)

    def authorize(self, grants: Grants) -> None:
        super().authorize(grants)
        if "scope" in self.changes:
            grants.require("write", self.scope)


CHANGEABLE: Final = frozenset(Update.model_fields) - _CONDITIONS
"""Fields that an update may change."""


class Delete(Operation[None]):
    """Remove one memory for good."""

    verb: ClassVar[str] = "delete"
    access: ClassVar[Access] = "delete"

    id: Name
    user_id: Name | None = None
    if_version: StrictInt | None = Field(default=None, ge=1, le=MAX_VERSION)


_SELECTORS: Final = frozenset(ScopedQuery.model_fields) - {"user_id"} | {"ids", "keys"}


class DeleteMany(ScopedQuery[int]):
    """Remove the memories of one user that are selected, for good; how many they were."""

    verb: ClassVar[str] = "delete_many"
    access: ClassVar[Access] = "delete"

    ids: Names | None = None
    keys: Names | None = None
    everything: StrictBool = False
    dry_run: StrictBool = False

    @model_validator(mode="after")
    def _selects_on_purpose(self) -> DeleteMany:
        without_tags = {name for name in ("tags", "any_tags") if not getattr(self, name)}
        given = sorted(name for name in _SELECTORS - without_tags if getattr(self, name) is not None)
        if self.everything and given:
            raise ValueError(f"everything: all memories of the user would be deleted, though {given[0]} is given, too")
        if not self.everything and not given:
            raise ValueError(
                "everything: nothing says which memories; give a filter, or set it to true for all of them"
            )
        return self

    def selection(self, grants: Grants) -> Selection:
        selection = super().selection(grants)
        return replace(selection, ids=self.ids, keys=self.keys)


class RestoredMemory(Add):
    """A memory as it was: with its id, times and version."""

    verb: ClassVar[str] = "restore"

    id: Name
    created_at: TimeInput
    updated_at: TimeInput | None = None
    version: StrictInt = Field(default=1, ge=1, le=MAX_VERSION)


class Restore(AdministrativeOperation[RestoredMemories]):
    """Store memories as they were. Those whose ids are there already stay as they are."""

    verb: ClassVar[str] = "restore"
    access: ClassVar[Access] = "write"
    validate_in_thread: ClassVar[bool] = True

    records: tuple[RestoredMemory, ...]
    progress: SkipJsonSchema[Progress | None] = Field(default=None, exclude=True)
    vectors: SkipJsonSchema[Annotated[Mapping[str, StoredVector] | None, SkipValidation]] = Field(
        default=None, exclude=True, repr=False
    )
    """Vectors of the records by id. A backend that keeps vectors may use them instead of embedding."""

    @model_validator(mode="after")
    def _names_each_memory_once(self) -> Restore:
        known: dict[str, RestoredMemory] = {}
        for number, record in enumerate(self.records):
            if known.setdefault(record.id, record) != record:
                raise ValueError(f"records[{number}].id: another record has {record.id!r}, too, and is not equal")
        return self

    def check_each(self, check: Callable[[Operation], None]) -> None:
        check(self)
        for number, record in enumerate(self.records):
            with InRecord(number):
                check(record)
