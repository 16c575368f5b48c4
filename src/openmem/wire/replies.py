"""What a verb answers with, described once: for the server, the client and the OpenAPI document."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from ..models import AuditEntries, AuditEntry, MemoryRecord, RestoredMemories, WireModel

R = TypeVar("R")
M = TypeVar("M", bound=WireModel)
Json: TypeAlias = Any


class Reply(ABC, Generic[R]):
    """The JSON of a reply to a verb whose result is an `R`."""

    @property
    def models(self) -> Sequence[type[WireModel]]:
        """The models that the JSON schema refers to."""
        return ()

    @abstractmethod
    def encode(self, result: R) -> Json:
        """The JSON of a result."""

    @abstractmethod
    def decode(self, reply: Json) -> R:
        """The result in the JSON of a reply.

        Raises:
            ValueError, KeyError, TypeError, OverflowError: it has another shape.
        """

    @abstractmethod
    def schema(self, ref_template: str) -> Json | None:
        """The JSON schema; None for a reply without content.

        Args:
            ref_template: where the schema of a model is, with ``{model}`` for its name.
        """


@dataclass(frozen=True, slots=True)
class One(Reply[M]):
    """The result is one object."""

    model: type[M]

    @property
    def models(self) -> Sequence[type[WireModel]]:
        return (self.model,)

    def encode(self, result: M) -> Json:
        return result.to_wire()

    def decode(self, reply: Json) -> M:
        return self.model.model_validate(reply)

    def schema(self, ref_template: str) -> Json:
        return {"$ref": ref_template.format(model=self.model.__name__)}


@dataclass(frozen=True, slots=True)
class Many(Reply[list[M]]):
    """The result is a list, sent as the member `name` of an object."""

    model: type[M]
    name: str

    @property
    def models(self) -> Sequence[type[WireModel]]:
        return (self.model,)

    def encode(self, result: list[M]) -> Json:
        return {self.name: [item.to_wire() for item in result]}

    def decode(self, reply: Json) -> list[M]:
        return [self.model.model_validate(item) for item in reply[self.name]]

    def schema(self, ref_template: str) -> Json:
        items = {"type": "array", "items": {"$ref": ref_template.format(model=self.model.__name__)}}
        return {"type": "object", "required": [self.name], "properties": {self.name: items}}


@dataclass(frozen=True, slots=True)
class AllRestored(Reply[RestoredMemories]):
    """The result is what was restored: ``memories``, and in ``existing`` the ids of those that were there before."""

    @property
    def models(self) -> Sequence[type[WireModel]]:
        return (MemoryRecord,)

    def encode(self, result: RestoredMemories) -> Json:
        memories = [record.to_wire() for record in result]
        return {"memories": memories} | ({} if result.existing is None else {"existing": sorted(result.existing)})

    def decode(self, reply: Json) -> RestoredMemories:
        memories = [MemoryRecord.model_validate(record) for record in reply["memories"]]
        existing = reply.get("existing")
        if existing is not None and not (isinstance(existing, list) and all(isinstance(id, str) for id in existing)):
            raise TypeError("existing is no list of ids")
        return RestoredMemories(memories, existing)

    def schema(self, ref_template: str) -> Json:
        memories = {"type": "array", "items": {"$ref": ref_template.format(model=MemoryRecord.__name__)}}
        properties = {"memories": memories, "existing": {"type": "array", "items": {"type": "string"}}}
        return {"type": "object", "required": ["memories"], "properties": properties}


@dataclass(frozen=True, slots=True)
class EntriesOfLog(Reply[AuditEntries]):
    """The result is a page of the audit log: ``entries``, and ``next_cursor`` if there are more."""

    @property
    def models(self) -> Sequence[type[WireModel]]:
        return (AuditEntry,)

    def encode(self, result: AuditEntries) -> Json:
        entries = [entry.to_wire() for entry in result]
        return {"entries": entries} | ({} if result.next_cursor is None else {"next_cursor": result.next_cursor})

    def decode(self, reply: Json) -> AuditEntries:
        entries = [AuditEntry.model_validate(entry) for entry in reply["entries"]]
        cursor = reply.get("next_cursor")
        if not isinstance(cursor, str | None):
            raise TypeError("next_cursor is no text")
        return AuditEntries(entries, cursor)

    def schema(self, ref_template: str) -> Json:
        entries = {"type": "array", "items": {"$ref": ref_template.format(model=AuditEntry.__name__)}}
        properties = {"entries": entries, "next_cursor": {"anyOf": [{"type": "string"}, {"type": "null"}]}}
        return {"type": "object", "required": ["entries"], "properties": properties}


@dataclass(frozen=True, slots=True)
class NoContent(Reply[None]):
    """There is no result, and the reply is empty."""

    def encode(self, result: None) -> Json:
        return None

    def decode(self, reply: Json) -> None:
        return None

    def schema(self, ref_template: str) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Number(Reply[int]):
    """The result is a number, sent as the member `name` of an object."""

    name: str

    def encode(self, result: int) -> Json:
        return {self.name: result}

    def decode(self, reply: Json) -> int:
        return int(reply[self.name])

    def schema(self, ref_template: str) -> Json:
        return {"type": "object", "properties": {self.name: {"type": "integer"}}, "required": [self.name]}
