"""An openmem provider that keeps memories in dictionaries of the running process."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from openmem.config import ClientConfig
from openmem.errors import InvalidRequestError
from openmem.io import Ports
from openmem.models import CapabilityFeatures, MemoryPage, MemoryRecord, SearchResult, SearchResults
from openmem.operations import Add, Delete, Get, List, Search, Update
from openmem.providers.base import Call, Position, Provider, decode_cursor, encode_cursor, new_memory_id, no_such_memory

STORES: dict[str, dict[str, MemoryRecord]] = {}


class DictProvider(Provider):
    """Memories in a dictionary; clients with the same `store` share it."""

    name = "dict"
    features = CapabilityFeatures(keyword_search=True, temporal=True, scopes="native")

    def __init__(self, config: ClientConfig, ports: Ports) -> None:
        super().__init__(config, ports)
        options = dict(config.options)
        self._memories = STORES.setdefault(options.pop("store", "default"), {})
        if options:
            raise TypeError(f"provider 'dict' knows no {', '.join(map(repr, options))}; it takes store=")

    async def add(self, op: Add, call: Call) -> MemoryRecord:
        fields: dict[str, Any] = op.model_dump(exclude={"extensions"}) | op.extensions
        record = MemoryRecord.model_validate(
            fields | {"id": new_memory_id(op.user_id), "created_at": datetime.now(UTC)}
        )
        self._memories[record.id] = record
        return record

    async def get(self, op: Get, call: Call) -> MemoryRecord:
        return self._find(op, call)

    async def update(self, op: Update, call: Call) -> MemoryRecord:
        record = self._find(op, call)
        if op.valid_to is not None and record.valid_from is not None and op.valid_to < record.valid_from:
            raise InvalidRequestError("valid_to: it is before the memory's valid_from")
        changes = op.model_dump(include=set(op.changes)) | {"updated_at": datetime.now(UTC)}
        self._memories[op.id] = MemoryRecord.model_validate(record.model_dump() | changes)
        return self._memories[op.id]

    async def delete(self, op: Delete, call: Call) -> None:
        del self._memories[self._find(op, call).id]

    async def list(self, op: List, call: Call) -> MemoryPage:
        position = decode_cursor(op)
        found = [
            record
            for record in self._select(op, call)
            if (op.tag is None or op.tag in (record.tags or ()))
            and (op.since is None or record.created_at >= op.since)
            and (op.until is None or record.created_at < op.until)
            and (position is None or _position(record) < position)
        ]
        items = sorted(found, key=_position, reverse=True)[: op.limit]
        more = len(found) > op.limit
        return MemoryPage(items=items, next_cursor=encode_cursor(op, _position(items[-1])) if more else None)

    async def search(self, op: Search, call: Call) -> SearchResults:
        now, asked, results = datetime.now(UTC), _words(op.query), []
        for record in self._select(op, call):
            begun = record.valid_from is None or record.valid_from <= now
            ended = record.valid_to is not None and record.valid_to <= now
            score = _weight(asked & _words(record.content)) / (_weight(asked) or 1)
            if begun and not ended and score > 0 and score >= (op.min_score or 0):
                results.append(SearchResult(memory=record, score=score))
        return sorted(results, key=lambda result: (result.score, *_position(result.memory)), reverse=True)[: op.limit]

    def _find(self, op: Get | Update | Delete, call: Call) -> MemoryRecord:
        record = self._memories.get(op.id)
        if record is None or not call.may_act_for(record.user_id):
            raise no_such_memory(op.id)
        call.grants.require(op.access, record.scope)
        return record

    def _select(self, op: List | Search, call: Call) -> Iterator[MemoryRecord]:
        scopes = op.scope_filter(call.grants)
        for record in list(self._memories.values()):
            if record.user_id == op.user_id and (scopes is None or scopes.matches(record.scope)):
                yield record


def _position(record: MemoryRecord) -> Position:
    return Position(record.created_at, record.id)


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


def _weight(words: set[str]) -> int:
    return sum(map(len, words))  # long words are rarer
