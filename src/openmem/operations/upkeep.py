"""The verbs that look after a store."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, StrictBool, StrictInt
from pydantic.json_schema import SkipJsonSchema

from ..access import Access, Grants
from ..models import Erased, Purged
from .fields import Name, Progress, TimeInput
from .operation import AdministrativeOperation, Operation


class Reembed(Operation[int]):
    """Embed with the client's embedder every memory that another model embedded, of all users."""

    verb: ClassVar[str] = "reembed"
    access: ClassVar[Access] = "write"
    is_wire_verb: ClassVar[bool] = False

    batch_size: StrictInt = Field(default=256, ge=1, le=10_000)
    progress: Progress | None = None

    def authorize(self, grants: Grants) -> None:
        grants.require("write", None)


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


class ForgetUser(AdministrativeOperation[Erased]):
    """Remove all that is stored of one user for good: memories, keys and audit entries."""

    verb: ClassVar[str] = "forget_user"
    access: ClassVar[Access] = "delete"

    user_id: Name


class Purge(AdministrativeOperation[Purged]):
    """Remove what has expired, of all users, and what is older than asked."""

    verb: ClassVar[str] = "purge"
    access: ClassVar[Access] = "delete"

    ended_before: TimeInput | None = None
    audit_before: TimeInput | None = None
    progress: SkipJsonSchema[Progress | None] = Field(default=None, exclude=True)
