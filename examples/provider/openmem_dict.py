"""An openmem provider that keeps memories in dictionaries of the running process."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from openmem.config import ClientConfig
from openmem.errors import InvalidRequestError
from openmem.models import CapabilityFeatures, MemoryPage, MemoryRecord, SearchResult, SearchResults
from openmem.operations import Add, Delete, Get, List, Search, Update
from openmem.ports import Ports
from openmem.providers.base import (
    Call,
    Position,
    Provider,
    Selection,
    check_not_ended,
    new_memory_id,
    no_such_memory,
)


@dataclass
class Store:
    memories: dict[str, MemoryRecord] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)  # held for moments, and never while anything is awaited


STORES: defaultdict[str, Store] = defaultdict(Store)


class DictProvider(Provider):
    """Memories in a dictionary; clients with the same `store` share it."""

    name = "dict"
    features = CapabilityFeatures(
        keyword_search=True,
        temporal=True,
        scopes="native",
        supports_supersession=True,
        atomic_supersession=True,
    )

    def __init__(self, config: ClientConfig, ports: Ports) -> None:
        super().__init__(config, ports)
        options = dict(config.options)
        store = STORES[options.pop("store", "default")]
        self._memories, self._lock = store.memories, store.lock
        if options:
            raise TypeError(f"provider 'dict' knows no {', '.join(map(repr, options))}; it takes store=")

    async def add(self, op: Add, call: Call) -> MemoryRecord:
        with self._lock:
            now = datetime.now(UTC)
            superseded = self._superseded(op, op.user_id, call)
            check_not_ended(op, superseded, now)
            set_here = {"id": new_memory_id(op.user_id), "created_at": now, "status": "stored"}
            record = MemoryRecord.model_validate(op.record_fields | set_here)
            self._memories[record.id] = record
            self._end(superseded, op.valid_from or now)
        return await self._shown(record, call)

    async def get(self, op: Get, call: Call) -> MemoryRecord:
        return await self._shown(self._find(op, call), call)

    async def update(self, op: Update, call: Call) -> MemoryRecord:
        with self._lock:
            record, now = self._find(op, call), datetime.now(UTC)
            begin = op.valid_from if "valid_from" in op.changes else record.valid_from
            end = op.valid_to if "valid_to" in op.changes else record.valid_to
            if begin is not None and end is not None and end < begin:
                raise InvalidRequestError("valid_to: it would be before valid_from")
            named = record.supersedes or []
            superseded = self._superseded(op, record.user_id, call)
            check_not_ended(op, (memory for memory in superseded if memory.id not in named), now)
            changes: dict[str, Any] = op.model_dump(include=set(op.changes)) | {"updated_at": now}
            if op.supersedes:
                changes["supersedes"] = list(dict.fromkeys([*named, *op.supersedes]))
            else:
                changes.pop("supersedes", None)
            self._memories[op.id] = record = MemoryRecord.model_validate(record.model_dump() | changes)
            self._end(superseded, now)
        return await self._shown(record, call)

    async def delete(self, op: Delete, call: Call) -> None:
        with self._lock:
            del self._memories[self._find(op, call).id]

    async def list(self, op: List, call: Call) -> MemoryPage:
        found = self._select(op.selection(call.grants))
        items = sorted(found, key=Position.of, reverse=True)[: op.limit]
        next_cursor = op.cursor_after(items[-1]) if len(found) > op.limit else None
        shown = await self.with_readable_names(items, call, self._look_up)
        return MemoryPage(items=list(shown), next_cursor=next_cursor)

    async def search(self, op: Search, call: Call) -> SearchResults:
        asked, results = _words(op.query), []
        for record in self._select(op.selection(call.grants)):
            score = _weight(asked & _words(record.content)) / (_weight(asked) or 1)
            if score > 0 and score >= (op.min_score or 0):
                results.append(SearchResult(memory=record, score=score))
        results.sort(key=lambda result: (result.score, *Position.of(result.memory)), reverse=True)
        return await self.with_readable_names_in(results[: op.limit], call, self._look_up)

    def _find(self, op: Get | Update | Delete, call: Call) -> MemoryRecord:
        record = self._memories.get(op.id)
        if record is None or not call.may_act_for(record.user_id):
            raise no_such_memory(op.id)
        call.grants.require(op.access, record.scope)
        return record

    def _superseded(self, op: Add | Update, user_id: str, call: Call) -> Sequence[MemoryRecord]:
        found = []
        for id in dict.fromkeys(op.supersedes or ()):
            record = self._memories.get(id)
            if record is None or record.user_id != user_id:
                raise InvalidRequestError(f"supersedes: this user has no memory {id!r}; nothing was written")
            call.grants.require("write", record.scope)
            found.append(record)
        return found

    def _end(self, superseded: Sequence[MemoryRecord], moment: datetime) -> None:
        for record in superseded:
            end = max(moment, record.valid_from or moment)
            if record.valid_to is None or record.valid_to > end:
                changes = {"valid_to": end, "updated_at": datetime.now(UTC)}
                self._memories[record.id] = record.model_copy(update=changes)

    async def _look_up(self, id: str) -> MemoryRecord | None:
        return self._memories.get(id)

    async def _shown(self, record: MemoryRecord, call: Call) -> MemoryRecord:
        [shown] = await self.with_readable_names([record], call, self._look_up)
        return shown

    def _select(self, selection: Selection) -> Sequence[MemoryRecord]:
        now = datetime.now(UTC)
        return [record for record in list(self._memories.values()) if selection.matches(record, now)]


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


def _weight(words: set[str]) -> int:
    return sum(map(len, words))  # long words are rarer
